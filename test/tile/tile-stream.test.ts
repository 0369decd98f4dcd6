import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Graph } from '../../shared/graph/index.js';
import { tensorAt } from '../../shared/graph/index.js';
import type { StreamedTilesSegment } from '../../shared/tile/index.js';
import { phasesOf, planRange, streamedTilesOf } from '../../shared/tile/index.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

test('planRange() gives tiles of one shape one schedule', () => {
  const [segment] = segmentsOf('3x64x48: c4k3p1 c4k3p1', [1, 3, 4]);
  assert.ok(segment?.kind === 'streamed-tiles');
  assert.deepEqual(
    segment.streams.map(({ tiles, graph }) => [tiles.length, tensorAt(graph, 0).shape]),
    [
      [2, [1, 3, 64, 18]],
      [1, [1, 3, 64, 20]],
    ],
  );
});

test('planRange() streams a tile as the smaller map that it is', () => {
  const [segment] = segmentsOf('3x64x48: c4k3p1 m2s2 c4k3p1', [2, 1, 4]);
  assert.ok(segment?.kind === 'streamed-tiles');
  const [stream] = segment.streams;
  const alone = segmentsOf('3x36x48: c4k3p1 m2s2 c4k3p1', [1, 1, 4])[0];
  assert.ok(alone?.kind === 'stream');
  assert.equal(tensorAt(stream?.graph ?? graphOf('3x9x9: r'), 0).shape?.[2], 36);
  assert.deepEqual(stream?.link.stream.rows, alone.links[0]?.stream.rows);
});

test('planRange() runs tiles at once where one is too short to be streamed', () => {
  assert.equal(segmentsOf('3x64x48: c4k3p1 c4k3p1', [2, 1, 30])[0]?.kind, 'streamed-tiles');
  assert.equal(segmentsOf('3x64x48: c4k3p1 c4k3p1', [8, 1, 30])[0]?.kind, 'tiles');
});

test('planRange() gives tiles that make all their rows once, step by step', () => {
  let streamed = 0;
  const property = fc.property(graphs, grids, ({ notation }, grid) => {
    for (const segment of segmentsOf(notation, grid)) {
      if (segment.kind !== 'streamed-tiles') continue;
      streamed += 1;
      assertRows(segment);
    }
  });
  fc.assert(property, { numRuns: 300 });
  assert.ok(streamed > 100, `only ${streamed} were streamed`);
});

test('planRange() streams all tiles of a segment that can be tiled and streamed, or none', () => {
  const property = fc.property(graphs, grids, ({ notation }, grid) => {
    for (const segment of segmentsOf(notation, grid)) {
      if (segment.kind !== 'streamed-tiles') continue;
      const tiles = segment.streams.flatMap((stream) => stream.tiles);
      assert.equal(tiles.length, segment.rowTiles.length * segment.colTiles.length);
      assert.equal(new Set(tiles).size, tiles.length);
    }
  });
  fc.assert(property, { numRuns: 200 });
});

const graphs = randomGraph({ maxSize: 90, maxWords: 10 });

const grids = fc.tuple(
  fc.integer({ min: 1, max: 3 }),
  fc.integer({ min: 1, max: 3 }),
  fc.integer({ min: 1, max: 4 }),
);

function segmentsOf(notation: string, [rows, cols, step]: readonly [number, number, number]) {
  const graph: Graph = graphOf(notation);
  return planRange(graph, { from: 0, to: graph.nodes.length }, streamedTilesOf({ rows, cols }, step));
}

/** Asserts that a tile's steps make the rows of an output that the tile computes, and read no more of an input. */
function assertRows({ streams, space }: StreamedTilesSegment): void {
  for (const { tiles, link } of streams) {
    const total = (tensor: number) =>
      phasesOf(link.stream).reduce((sum, phase) => sum + (link.stream.rows[phase].get(tensor) ?? 0), 0);
    for (const { rows } of tiles) {
      const lengthOf = (tensor: number) => {
        const { from, to } = rows.spans.get(tensor) ?? { from: 0, to: 0 };
        return to - from;
      };
      for (const output of space.boundary.outputs) assert.equal(total(output), lengthOf(output));
      for (const input of space.boundary.inputs) assert.ok(total(input) <= lengthOf(input));
    }
  }
}
