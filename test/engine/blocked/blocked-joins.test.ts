/** Which joins of rows are rewritten to blocked order, which stay, and that results don't change. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMachine } from '../../../agent/board/machine.js';
import { BLOCKED_DOMAIN, joinInBlocks } from '../../../agent/engine/blocked/blocked-joins.js';
import type { TensorData } from '../../../agent/engine/child/onnx-runtime.js';
import { Session } from '../../../agent/engine/child/onnx-runtime.js';
import { mulberry32 } from '../../../shared/darknet/index.js';
import type { Graph } from '../../../shared/graph/index.js';
import { elementAt, GraphBuilder, knownShape, present, tensorAt } from '../../../shared/graph/index.js';
import { writeOnnx } from '../../../shared/onnx/index.js';

const BLOCK = 8;
const COLS = 5;

const skip = readMachine() === undefined && 'no blocked convolutions on this machine';

test('joinInBlocks() replaces the reorders around a join by reshapes', () => {
  const graph = joinGraph();
  assert.equal(opsOf(graph), 'ReorderInput ReorderOutput Concat Slice ReorderInput ReorderOutput');
  const joined = joinInBlocks(graph, BLOCK);
  assert.equal(opsOf(joined), 'ReorderInput Reshape Concat Slice Reshape ReorderOutput');
  const kept = tensorAt(joined, elementAt(joined.inputs, 0));
  assert.deepEqual([kept.name, kept.shape], ['kept', [1, 16 / BLOCK, -1, -1]], 'carried rows are in blocks');
  assert.deepEqual([joined.inputs, joined.outputs], [graph.inputs, graph.outputs]);
});

test('joinInBlocks() keeps a reorder whose rows are also read in plain order', () => {
  const joined = joinInBlocks(joinGraph({ alsoRead: 'plain' }), BLOCK);
  assert.equal(opsOf(joined), 'ReorderInput ReorderOutput Reshape Concat Slice Reshape ReorderOutput Relu');
});

test('joinInBlocks() reshapes rows once for two joins', () => {
  const joined = joinInBlocks(joinGraph({ joins: 2 }), BLOCK);
  const second = 'Concat Slice Reshape ReorderOutput';
  assert.equal(opsOf(joined), `ReorderInput Reshape ${second} ${second}`);
});

const STAYS: Readonly<Record<string, Variation>> = {
  'its channels do not fill whole blocks': { channels: 12 },
  'it joins along another axis': { axis: 1 },
  'its new rows come from another operator': { maker: 'Relu' },
  'its rows have channels last': { channelsLast: 1 },
  'another node reads the carried rows': { alsoRead: 'kept' },
  'another node reads the joined rows in plain order': { alsoRead: 'joined' },
};

for (const [reason, variation] of Object.entries(STAYS)) {
  test(`joinInBlocks() leaves a join as it is when ${reason}`, () => {
    const graph = joinGraph(variation);
    assert.equal(joinInBlocks(graph, BLOCK), graph);
  });
}

test('joinInBlocks() changes no result, and keeps rows in blocked order', { skip }, async () => {
  const graph = joinGraph({ channels: 32 });
  const [kept, x] = graph.inputs.map((index) => noise(knownShape(tensorAt(graph, index)), index));
  const plain = present(kept, 'kept');
  const before = await run(graph, { kept: plain, x: present(x, 'x') });
  const block = await blockOfMachine();
  const blockedShape = [1, 32 / block, plain.shape[2] ?? 0, COLS * block];
  const blocked = { ...(await reorder(plain)), shape: blockedShape };
  const after = await run(joinInBlocks(graph, block), { kept: blocked, x: present(x, 'x') });
  const [next, out] = graph.outputs.map((index) => tensorAt(graph, index).name);
  assert.deepEqual(after[out ?? ''], before[out ?? '']);
  const expected = await reorder(present(before[next ?? ''], 'next rows'));
  assert.deepEqual(after[next ?? '']?.data, expected.data);
  assert.deepEqual(after[next ?? '']?.shape, blockedShape);
});

interface Variation {
  readonly channels?: number;
  readonly axis?: number;
  /** Operator that makes the new rows. */
  readonly maker?: 'ReorderOutput' | 'Relu';
  readonly channelsLast?: number;
  /** Tensor that a Relu reads in addition. */
  readonly alsoRead?: 'kept' | 'plain' | 'joined';
  readonly joins?: number;
}

/** A step of a stream as ONNX Runtime saves it: four new rows after two kept ones, the last two kept again. */
function joinGraph(variation: Variation = {}): Graph {
  const {
    channels = 16,
    axis = 2,
    maker = 'ReorderOutput',
    channelsLast = 0,
    alsoRead,
    joins = 1,
  } = variation;
  const builder = new GraphBuilder();
  const addMap = (op: string, inputs: readonly number[], rows: number, attributes = {}) =>
    builder.addMap(0, { op, inputs, attributes }, { channels, rows, cols: COLS }).tensor;
  const integer = (value: number) => builder.addConstant('integer', BigInt64Array.of(BigInt(value)), [1]);
  const kept = Array.from({ length: joins }, (_, at) =>
    builder.addInput(at === 0 ? 'kept' : `kept${at}`, [1, channels, 2, COLS]),
  );
  const x = builder.addInput('x', [1, channels, 4, COLS]);
  const blocked = addMap('ReorderInput', [x], 4);
  const plain = addMap(maker, [blocked], 4, { channels, channels_last: channelsLast });
  const outputs: number[] = [];
  const reads = { kept: elementAt(kept, 0), plain, joined: -1 };
  for (const rows of kept) {
    const joined = addMap('Concat', [rows, plain], 6, { axis });
    outputs.push(addMap('Slice', [joined, integer(4), integer(6), integer(2)], 2));
    outputs.push(addMap('ReorderOutput', [addMap('ReorderInput', [joined], 6)], 6, { channels }));
    reads.joined = joined;
  }
  if (alsoRead !== undefined) outputs.push(addMap('Relu', [reads[alsoRead]], 4));
  const graph = builder.build('joins', outputs);
  const nodes = graph.nodes.map((node) =>
    node.op.startsWith('Reorder') ? { ...node, domain: BLOCKED_DOMAIN } : node,
  );
  return { ...graph, nodes, opsets: { ...graph.opsets, [BLOCKED_DOMAIN]: 1 } };
}

function opsOf({ nodes }: Graph): string {
  return nodes.map(({ op }) => op).join(' ');
}

function noise(shape: readonly number[], seed: number): TensorData {
  const random = mulberry32(seed + 1);
  const length = shape.reduce((product, dim) => product * dim, 1);
  return { dtype: 'float32', shape, data: Float32Array.from({ length }, () => random() - 0.5) };
}

async function run(graph: Graph, feeds: Readonly<Record<string, TensorData>>) {
  return runModel(writeOnnx(graph, { symbolicSpace: true }), feeds);
}

async function runModel(model: Uint8Array, feeds: Readonly<Record<string, TensorData>>) {
  const session = await Session.create(model, { folder: '.', level: 'disabled', threads: 1 });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

/** A map in the blocked order of this machine. */
async function reorder(x: TensorData): Promise<TensorData> {
  return elementAt(Object.values(await runModel(writeReorderModel(x.shape), { x })), 0);
}

/** Channels in a block: the place in memory of the first channel's second pixel. */
async function blockOfMachine(): Promise<number> {
  const data = Float32Array.from({ length: 128 }, (_, at) => at);
  const { data: reordered } = await reorder({ dtype: 'float32', shape: [1, 64, 1, 2], data });
  return Array.from(reordered as Float32Array).indexOf(1);
}

/** A model that puts a map into the blocked order of this machine. */
function writeReorderModel(shape: readonly number[]): Uint8Array {
  const builder = new GraphBuilder();
  const x = builder.addInput('x', shape);
  const y = builder.addNode(0, { op: 'ReorderInput', inputs: [x] }, { dtype: 'float32', shape });
  const graph = builder.build('reorder', [y]);
  const nodes = graph.nodes.map((node) => ({ ...node, domain: BLOCKED_DOMAIN }));
  return writeOnnx({ ...graph, nodes, opsets: { ...graph.opsets, [BLOCKED_DOMAIN]: 1 } });
}
