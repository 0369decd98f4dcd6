/** The order of leaves in a file, and the order in which ONNX Runtime runs them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { addOutputReaders, runLeavesInOrder } from '../../../agent/engine/compile/leaf-order.js';
import type { Graph, Node } from '../../../shared/graph/index.js';
import { elementAt, GraphBuilder, tensorAt } from '../../../shared/graph/index.js';
import { writeOnnx } from '../../../shared/onnx/index.js';
import { temporaryFolder } from '../../fixtures.js';

test('runLeavesInOrder() moves leaves to the end of the file, last leaf first', () => {
  const ordered = runLeavesInOrder(branches());
  assert.equal(opsOf(ordered.nodes), 'Relu Elu Tanh Exp Sigmoid');
  const { nodes: _, ...others } = branches();
  assert.deepEqual({ ...ordered, nodes: [] }, { ...others, nodes: [] });
});

test('runLeavesInOrder() changes nothing when there is one leaf, at the end', () => {
  const builder = new GraphBuilder();
  const x = builder.addInput('x', [1]);
  const chain = ['Relu', 'Elu', 'Tanh'].reduce((tensor, op) => addNode(builder, op, tensor), x);
  const graph = builder.build('chain', [chain]);
  assert.deepEqual(runLeavesInOrder(graph), graph);
});

test('runLeavesInOrder() takes a node for no leaf when a subgraph reads it', () => {
  const graph = branches();
  const captured = elementAt(elementAt(graph.nodes, 1).outputs, 0);
  const nodes = graph.nodes.map((node) => (node.op === 'Tanh' ? { ...node, captures: [captured] } : node));
  assert.equal(opsOf(runLeavesInOrder({ ...graph, nodes }).nodes), 'Relu Sigmoid Elu Tanh Exp');
});

test('ONNX Runtime runs each leaf as soon as it can, with the same results', async (context) => {
  const before = await run(context, branches());
  const after = await run(context, runLeavesInOrder(branches()));
  assert.equal(before.ops, 'Relu Elu Tanh Exp Sigmoid', 'the last leaf of the file comes first');
  assert.equal(after.ops, 'Relu Sigmoid Elu Exp Tanh');
  assert.deepEqual(after.results, before.results);
});

test('addOutputReaders() gives each output a reader, so that its node is no leaf', async (context) => {
  const graph = branches();
  const end = elementAt(graph.outputs, 2);
  const read = addOutputReaders(graph, [end]);
  const { name } = tensorAt(graph, end);
  assert.equal(opsOf(read.nodes), `${opsOf(graph.nodes)} Shape`);
  assert.deepEqual(
    read.outputs.map((index) => tensorAt(read, index).name),
    [...graph.outputs.map((index) => tensorAt(graph, index).name), `${name}/end`],
  );
  assert.equal(opsOf(runLeavesInOrder(read).nodes), 'Relu Elu Tanh Shape Exp Sigmoid');
  const { results } = await run(context, runLeavesInOrder(read));
  const { [`${name}/end`]: shape, ...others } = results;
  assert.deepEqual(shape, [1]);
  assert.deepEqual(others, (await run(context, graph)).results);
});

/** Relu, a leaf that reads it, Elu on Relu, a leaf that reads Elu, and the end. Leaves are outputs. */
function branches(): Graph {
  const builder = new GraphBuilder();
  const x = builder.addInput('x', [1]);
  const relu = addNode(builder, 'Relu', x);
  const early = addNode(builder, 'Sigmoid', relu);
  const elu = addNode(builder, 'Elu', relu);
  const late = addNode(builder, 'Exp', elu);
  const end = addNode(builder, 'Tanh', elu);
  return builder.build('branches', [early, late, end]);
}

function addNode(builder: GraphBuilder, op: string, input: number): number {
  return builder.addNode(0, { op, inputs: [input] }, { dtype: 'float32', shape: [1] });
}

function opsOf(nodes: readonly Node[]): string {
  return nodes.map(({ op }) => op).join(' ');
}

interface Run {
  /** Operators in the order in which they ran, by ONNX Runtime's profile. */
  readonly ops: string;
  readonly results: Readonly<Record<string, readonly number[]>>;
}

async function run(context: TestContext, graph: Graph): Promise<Run> {
  const profiles = temporaryFolder(context);
  const session = await InferenceSession.create(writeOnnx(graph), {
    graphOptimizationLevel: 'disabled',
    enableProfiling: true,
    profileFilePrefix: join(profiles, 'profile'),
  });
  const results = await session.run({ x: new Tensor('float32', [0.75], [1]) });
  session.endProfiling();
  await session.release();
  const profile = readFileSync(join(profiles, elementAt(readdirSync(profiles), 0)), 'utf8');
  const events = JSON.parse(profile) as readonly { name: string; args?: { op_name?: string } }[];
  const kernels = events.filter(({ name }) => name.endsWith('_kernel_time'));
  return {
    ops: kernels.map(({ args }) => args?.op_name).join(' '),
    results: Object.fromEntries(
      Object.entries(results).map(([name, { data }]) => [name, Array.from(data as Float32Array, Number)]),
    ),
  };
}
