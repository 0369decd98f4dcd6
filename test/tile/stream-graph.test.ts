import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Session } from '../../agent/engine/child/onnx-runtime.js';
import type { Graph } from '../../shared/graph/index.js';
import {
  compactGraph,
  constantNumbers,
  elementAt,
  elementCount,
  intsAttribute,
  knownShape,
  tensorAt,
} from '../../shared/graph/index.js';
import { writeOnnx } from '../../shared/onnx/index.js';
import type { Phase, StreamLink } from '../../shared/tile/index.js';
import { buildLinkGraph, PHASES } from '../../shared/tile/index.js';
import { streamRange } from '../../shared/tile/stream.js';
import type { LinkGraph } from '../../shared/tile/stream-graph.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

test('buildLinkGraph() joins carry, rows and tail, and keeps what the next step needs', () => {
  const cases = [
    ['3x32x9: c4k3p1', 'Concat Slice Conv'],
    // Nothing is kept: no Slice.
    ['3x32x9: c4k1p1', 'Concat Conv'],
    // Nothing is padded or kept.
    ['3x32x9: m2s2', 'MaxPool'],
    ['4x32x9: c4k3p1 +0', 'Concat Slice Conv Concat Slice Slice Add'],
  ] as const;
  for (const [notation, ops] of cases) {
    const { linked } = linkOf(notation);
    assert.equal(linked.graph.nodes.map(({ op }) => op).join(' '), ops, notation);
  }
});

test('buildLinkGraph() shares what readers of a tensor have in common', () => {
  const cases = [
    ['3x32x9: c4k3p1 @0 c4k3p1 &1', 1],
    // Padded with other values, and by other rows.
    ['4x32x9: c4k3p1 @0 m3s1p1 +1', 2],
    ['3x32x9: c4k3p1 @0 c4k5p2 &1', 2],
    ['3x32x9: c4k3p1 r +1 x1 c4k3p1', 2],
  ] as const;
  for (const [notation, count] of cases) {
    const { linked } = linkOf(notation);
    assert.equal(linked.ports.length, count, notation);
  }
});

test('buildLinkGraph() takes vertical padding off and leaves the horizontal', () => {
  const conv = linkOf('3x32x9: c4k5p1.2.3.4').linked.graph.nodes.find(({ op }) => op === 'Conv');
  assert.deepEqual(conv && intsAttribute(conv, 'pads'), [0, 2, 0, 4]);
  const pool = linkOf('3x32x9: m3s2p1').linked.graph.nodes.find(({ op }) => op === 'MaxPool');
  assert.deepEqual(pool && intsAttribute(pool, 'pads'), [0, 1, 0, 1]);
  const { graph } = linkOf('3x32x9: z2 r').linked;
  const pad = graph.nodes.find(({ op }) => op === 'Pad');
  assert.deepEqual(constantNumbers(graph, pad?.inputs[1]), [0, 0, 0, 2, 0, 0, 0, 2]);
});

test('buildLinkGraph() leaves what has no space whole', async () => {
  const graph = graphOf('3x32x9: c4k3p1 e c4k3p1');
  const from = graph.nodes.findIndex(({ op }) => op === 'GlobalAveragePool') + 1;
  const link = streamRange(graph, { from, to: graph.nodes.length }, 4);
  assert.ok(link);
  const linked = buildLinkGraph(graph, link);
  const gate = linked.graph.nodes.find(({ op }) => op === 'Sigmoid')?.outputs[0] ?? -1;
  for (const phase of PHASES) assert.deepEqual(linked.shapes[phase](gate), [1, 4, 1, 1]);
  await assertShapes({ graph, link, linked });
});

test('buildLinkGraph() leaves the source graph as it is', () => {
  const { graph, linked } = linkOf('3x32x9: c4k3p1 z1 c4k3p1 +2');
  assert.deepEqual(graph, graphOf('3x32x9: c4k3p1 z1 c4k3p1 +2'));
  assert.deepEqual(linked.graph.tensors.slice(0, graph.tensors.length), graph.tensors);
});

test('buildLinkGraph() names its tensors apart', () => {
  const { linked } = linkOf('3x32x9: c4k3p1 @0 c4k5p2 &1 @0 c4k7p3 &1');
  const names = linked.graph.tensors.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});

test('buildLinkGraph() gives the shapes that ONNX Runtime computes', async (context) => {
  const notations = [
    '3x32x9: c4k3p1 c4k3s2p1 m2s2^ u2 c4k3p1',
    '3x33x9: m3s2p1^ c4k3p1 a3s2p1+',
    '3x40x9: c4k1s3 c4k5p2',
    '3x40x9: c4k3p2d2 @0 c4k7p3 &1 @1 m5s1p2 +1',
    '3x40x10: c8k3p1 s2 c16k3p1 d2 z1 c4k3 ! m2s2 u2 c4k1',
    '3x40x9: c4k1p6 c4k3p5',
  ];
  for (const notation of notations) await context.test(notation, () => assertShapes(linkOf(notation, 2)));
});

test('buildLinkGraph() gives the shapes that ONNX Runtime computes for random graphs', async () => {
  const property = fc.asyncProperty(
    randomGraph({ maxSize: 48, maxWords: 10 }),
    fc.integer({ min: 1, max: 4 }),
    async ({ notation }, units) => {
      const graph = graphOf(notation);
      const link = streamRange(graph, { from: 0, to: graph.nodes.length }, units);
      fc.pre(link !== undefined);
      await assertShapes({ graph, link, linked: buildLinkGraph(graph, link) });
    },
  );
  await fc.assert(property, { numRuns: 80 });
});

interface Linked {
  readonly graph: Graph;
  readonly link: StreamLink;
  readonly linked: LinkGraph;
}

function linkOf(notation: string, units = 4): Linked {
  const graph = graphOf(notation);
  const link = streamRange(graph, { from: 0, to: graph.nodes.length }, units);
  assert.ok(link, `${notation} isn't streamed`);
  return { graph, link, linked: buildLinkGraph(graph, link) };
}

/** Every tensor of every phase, in one session. */
async function assertShapes({ link, linked: { graph, ports, counts, shapes } }: Linked): Promise<void> {
  const outputs = graph.nodes.flatMap((node) => node.outputs);
  const model = writeOnnx(compactGraph({ ...graph, outputs }), { symbolicSpace: true });
  const session = await Session.create(model, { folder: '.', level: 'disabled', threads: 1 });
  const cropped = new Set(graph.nodes.flatMap(({ op, inputs: [map = -1] }) => (op === 'Slice' ? [map] : [])));
  const feed = (index: number, phase: Phase) => {
    const rows = counts.get(index)?.[phase];
    if (rows !== undefined)
      return { dtype: 'int64', shape: [1], data: BigInt64Array.of(BigInt(rows)) } as const;
    const shape = shapes[phase](index);
    return { dtype: 'float32', shape, data: new Float32Array(elementCount(shape)) } as const;
  };
  try {
    for (const phase of PHASES.filter((name) => name !== 'middle' || link.stream.middleSteps > 0)) {
      const feeds = graph.inputs.map((index) => [tensorAt(graph, index).name, feed(index, phase)] as const);
      const results = await session.run(Object.fromEntries(feeds));
      for (const index of outputs) {
        const { name } = tensorAt(graph, index);
        const expected = shapes[phase](index);
        const shape = results[name]?.shape ?? [];
        const surplus = elementAt(expected, 2) - elementAt(shape, 2);
        // Of a block that isn't whole strides less than the map, the layout has the most rows that there may be.
        const isNear = cropped.has(index) && surplus > 0 && surplus < 2;
        assert.deepEqual(isNear ? expected : shape, expected, `${name} in the ${phase} step`);
      }
    }
    for (const { next, carry } of ports) {
      if (next === undefined || carry === undefined) continue;
      assert.deepEqual(shapes.first(next), shapes.middle(carry));
      assert.deepEqual(shapes.first(next), shapes.last(carry));
      assert.equal(knownShape(tensorAt(graph, next)).length, 4);
    }
  } finally {
    await session.release();
  }
}
