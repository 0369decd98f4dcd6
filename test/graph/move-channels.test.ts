import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Graph } from '../../shared/graph/index.js';
import { GraphBuilder, localityOf, moveChannels } from '../../shared/graph/index.js';
import { noise, run } from './run-map.js';

const [CHANNELS, ROWS, COLS] = [12, 5, 7];

test('moveChannels() makes one Gather of a channel shuffle', async () => {
  for (const groups of [2, 3, 4, 6]) {
    const graph = chainOf([
      ['Reshape', [1, groups, CHANNELS / groups, ROWS, COLS]],
      ['Transpose', [0, 2, 1, 3, 4]],
      ['Reshape', [1, CHANNELS, ROWS, COLS]],
    ]);
    await assertMoved(graph, `${groups} groups`);
  }
});

test('moveChannels() makes one Gather of a shuffle that takes every second channel', async () => {
  // As ShuffleNetV2 is exported: batch and channels are one axis, then a part of them is taken.
  for (const part of [0, 1, -1]) {
    const graph = chainOf([
      ['Reshape', [CHANNELS / 2, 2, ROWS * COLS]],
      ['Transpose', [1, 0, 2]],
      ['Reshape', [2, 1, CHANNELS / 2, ROWS, COLS]],
      ['Gather', [part]],
    ]);
    await assertMoved(graph, `part ${part}`);
  }
});

test('moveChannels() leaves what moves rows, what ends in another shape, and what moves nothing', () => {
  const chains: readonly Chain[] = [
    [
      ['Reshape', [1, CHANNELS, ROWS * COLS]],
      ['Transpose', [0, 2, 1]],
      ['Reshape', [1, CHANNELS, ROWS, COLS]],
    ],
    [
      ['Reshape', [1, 2, CHANNELS / 2, ROWS, COLS]],
      ['Transpose', [0, 2, 1, 4, 3]],
      ['Reshape', [1, CHANNELS, COLS, ROWS]],
    ],
    [
      ['Reshape', [1, 2, CHANNELS / 2, ROWS, COLS]],
      ['Transpose', [0, 2, 1, 3, 4]],
    ],
    [
      ['Reshape', [1, CHANNELS, ROWS * COLS]],
      ['Reshape', [1, CHANNELS, ROWS, COLS]],
    ],
    [['Reshape', [1, COLS, ROWS, CHANNELS]]],
  ];
  for (const chain of chains) {
    const graph = chainOf(chain);
    assert.deepEqual(moveChannels(graph).nodes, graph.nodes, JSON.stringify(chain));
  }
});

test('moveChannels() moves channels as any two transpositions do', async () => {
  const orders = fc.shuffledSubarray([0, 1, 2], { minLength: 3 });
  const property = fc.asyncProperty(orders, orders, async (first, second) => {
    const dims = [2, 3, 2];
    const after = first.map((axis) => dims[axis] ?? 0);
    const graph = chainOf([
      ['Reshape', [...dims, ROWS, COLS]],
      ['Transpose', [...first, 3, 4]],
      ['Reshape', [...after, ROWS * COLS]],
      ['Transpose', [...second, 3]],
      ['Reshape', [1, CHANNELS, ROWS, COLS]],
    ]);
    const image = noise(CHANNELS * ROWS * COLS);
    assert.deepEqual(await run(moveChannels(graph), image), await run(graph, image));
  });
  await fc.assert(property, { numRuns: 12 });
});

/** Steps with what they are given: the shape of a Reshape, the order of a Transpose, the index of a Gather. */
type Chain = readonly (readonly ['Reshape' | 'Transpose' | 'Gather', readonly number[]])[];

function chainOf(chain: Chain): Graph {
  const builder = new GraphBuilder();
  let shape: readonly number[] = [1, CHANNELS, ROWS, COLS];
  let tensor = builder.addInput('image', shape);
  for (const [op, values] of chain) {
    const constant = (dims: readonly number[]) =>
      builder.addConstant('values', BigInt64Array.from(values.map(BigInt)), dims);
    const before = shape;
    if (op === 'Reshape') shape = values;
    else if (op === 'Transpose') shape = values.map((axis) => before[axis] ?? 0);
    else shape = before.slice(1);
    const inputs = op === 'Reshape' ? [constant([values.length])] : op === 'Gather' ? [constant([])] : [];
    const attributes = op === 'Transpose' ? { perm: values } : {};
    tensor = builder.addNode(0, { op, inputs: [tensor, ...inputs], attributes }, { dtype: 'float32', shape });
  }
  return builder.build('chain', [tensor]);
}

async function assertMoved(graph: Graph, label: string): Promise<void> {
  const moved = moveChannels(graph);
  assert.deepEqual(
    moved.nodes.map(({ op }) => op),
    ['Gather'],
    label,
  );
  for (const node of moved.nodes) assert.equal(localityOf(moved, node).kind, 'local', label);
  const image = noise(CHANNELS * ROWS * COLS);
  assert.deepEqual(await run(moved, image), await run(graph, image), label);
}
