import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Graph } from '../../shared/graph/index.js';
import { tensorAt } from '../../shared/graph/index.js';
import type { Space } from '../../shared/tile/index.js';
import { countUnits, sizeAlong, spaceOf, tileAxis } from '../../shared/tile/index.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

test('tileAxis() reads a halo that grows by one window a layer', () => {
  const { graph, space } = spaceIn('3x40x40: c4k3p1 c4k3p1 c4k5p2');
  const [first, second] = tileAxis({ graph, space, axis: 'rows' }, 2);
  assert.deepEqual(first?.reads.get(0), { from: 0, to: 24 });
  assert.deepEqual(second?.reads.get(0), { from: 16, to: 40 });
});

test('tileAxis() aligns tiles to the total stride', () => {
  const { graph, space } = spaceIn('3x48x48: c4k3p1 m2s2 c4k3p1 m2s2 c4k3p1');
  assert.equal(space.totalStride.rows, 4);
  for (const tile of tileAxis({ graph, space, axis: 'rows' }, 3)) {
    const read = tile.reads.get(0) ?? { from: 1, to: 1 };
    assert.equal(read.from % 4, 0);
    assert.equal((48 - read.to) % 4, 0);
  }
});

test('tileAxis() keeps branches of equal size at odd sizes', () => {
  const { graph, space } = spaceIn('3x21x21: c4k3s2p1 @0 c4k1s2 +1 c4k3p1');
  for (const tile of tileAxis({ graph, space, axis: 'rows' }, 4)) {
    const spans = graph.nodes.map(({ outputs }) => tile.spans.get(outputs[0] ?? -1));
    assert.deepEqual(spans[0], spans[1]);
  }
});

test('tileAxis() fails when there are more parts than units', () => {
  const { graph, space } = spaceIn('3x16x16: m2s2 m2s2 m2s2');
  assert.throws(
    () => tileAxis({ graph, space, axis: 'rows' }, 3),
    /Cannot cut into 3 rows: the map has 2 of its total stride 8/,
  );
});

test('spaceOf() says which node is a barrier', () => {
  const graph = graphOf('3x16x16: c4k3p1 e');
  const result = spaceOf(graph, { from: 0, to: graph.nodes.length });
  assert.equal(result.kind, 'barrier');
  assert.match(result.kind === 'barrier' ? result.reason : '', /GlobalAveragePool/);
});

test('spaceOf() gives a gate no space when the segment starts after its barrier', () => {
  const graph = graphOf('3x16x16: c4k3p1 e c4k3p1');
  const pool = graph.nodes.findIndex(({ op }) => op === 'GlobalAveragePool');
  const result = spaceOf(graph, { from: pool + 1, to: graph.nodes.length });
  assert.equal(result.kind, 'space');
  const sigmoid = graph.nodes.find(({ op }) => op === 'Sigmoid');
  assert.equal(result.kind === 'space' && result.space.scales.has(sigmoid?.outputs[0] ?? -1), false);
});

test('tileAxis() covers every output row once and computes what it owns', () => {
  fc.assert(
    fc.property(
      randomGraph({ maxSize: 60, maxWords: 10 }),
      fc.integer({ min: 1, max: 5 }),
      ({ notation }, parts) => {
        const graph = graphOf(notation);
        const result = spaceOf(graph, { from: 0, to: graph.nodes.length });
        fc.pre(result.kind === 'space');
        const { space } = result;
        for (const axis of ['rows', 'cols'] as const) {
          const cut = { graph, space, axis };
          const tiles = tileAxis(cut, Math.min(parts, countUnits(cut)));
          for (const output of space.boundary.outputs) {
            const owned = tiles.map((tile) => tile.owns.get(output) ?? { from: 0, to: 0 });
            const rows = owned.flatMap(({ from, to }) =>
              Array.from({ length: to - from }, (_, at) => from + at),
            );
            const size = sizeAlong(graph, output, axis);
            assert.deepEqual(
              rows,
              Array.from({ length: size }, (_, at) => at),
              tensorAt(graph, output).name,
            );
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

function spaceIn(notation: string): { graph: Graph; space: Space } {
  const graph = graphOf(notation);
  const result = spaceOf(graph, { from: 0, to: graph.nodes.length });
  if (result.kind === 'barrier') throw new Error(result.reason);
  return { graph, space: result.space };
}
