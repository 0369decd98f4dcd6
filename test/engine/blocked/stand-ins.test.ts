/** Models that ONNX Runtime optimises without their large weights are the ones that it makes with them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMachine } from '../../../agent/board/machine.js';
import { ModelOptimizer } from '../../../agent/engine/blocked/model-optimizer.js';
import { startExecutor } from '../../../agent/engine/executor-client.js';
import type { Executor } from '../../../agent/engine/wire/executor.js';
import type { OptimizeRequest, Program } from '../../../agent/engine/wire/protocol.js';
import { mulberry32 } from '../../../shared/darknet/index.js';
import type { Graph, Node } from '../../../shared/graph/index.js';
import { inlineConstant, TensorList, tensorBytes } from '../../../shared/graph/index.js';
import { parseOnnx } from '../../../shared/onnx/index.js';
import { temporaryFolder } from '../../fixtures.js';
import { graphOf } from '../../notation.js';
import { programOf, runProgram, sessionsOfProgram, storeGraph, storeWeights } from '../../stored-program.js';

const skip = readMachine() === undefined && 'no blocked convolutions on this machine';

/** Optimises a program. @returns it with the models that ONNX Runtime was given. */
async function optimize(
  program: Program,
): Promise<{ readonly optimized: Program; readonly given: readonly Graph[] }> {
  const given: Graph[] = [];
  const watched = async (): Promise<Executor> => {
    const executor = await startExecutor();
    return {
      stop: () => executor.stop(),
      ask: (request, options) => {
        if (request.kind === 'optimize') given.push(parseOnnx((request as OptimizeRequest).model));
        return executor.ask(request, options);
      },
    };
  };
  const optimizer = new ModelOptimizer({ startExecutor: watched, onFailed: (reason) => assert.fail(reason) });
  return { optimized: await optimizer.optimize(program), given };
}

function constantBytes({ tensors }: Graph): number {
  return tensors.reduce((sum, tensor) => sum + (tensor.constant === null ? 0 : tensorBytes(tensor)), 0);
}

function modelsOf(program: Program): readonly Graph[] {
  return sessionsOfProgram(program).map(({ model }) => parseOnnx(model));
}

/** @returns the models that ONNX Runtime was given. */
async function assertSame(program: Program, most: number): Promise<readonly Graph[]> {
  const { optimized, given } = await optimize(program);
  assert.ok(sessionsOfProgram(optimized).some((session) => session.optimized !== undefined));
  assert.deepEqual(await runProgram(optimized), await runProgram(program));
  const [left, all] = [given, modelsOf(program)].map((graphs) => Math.max(...graphs.map(constantBytes)));
  assert.ok(
    left !== undefined && all !== undefined && left <= most * all,
    `${left} bytes of ${all} are left`,
  );
  return given;
}

/** Networks, plans, and the most bytes of constants that ONNX Runtime gets, relative to all. */
const CASES = [
  ['3x32x32: c32k3p1 c64k3p1 l c64k3p1 m2s2 c128k1 c64k3s2p1', 'whole', 0.5],
  ['3x32x32: c64k3p1 c128k3p1 c128k3p1 c128k3p1', 'stream2', 0.25],
  ['3x32x32: c64k3p1 c128k3p1 c128k3p1 c128k3p1 +2', '2x2', 0.25],
  // The filters don't fill whole blocks.
  ['3x32x32: c128k3p1 c90k3p1', 'whole', 0.2],
  ['3x32x32: c128k3p1 c90k3p1 c64k3p1 c150k1', 'stream4', 1],
  // The map before a convolution is in plain order.
  ['3x16x16: c128k3p1 v2 c90k3p1', 'whole', 0.2],
  // Another node reads the map, so that the weights stay.
  ['3x32x32: c128k3p1 c90k3p1 @1 c30k3p1', 'whole', 1],
  // ONNX Runtime computes additions with convolutions if it sees that the maps are of one size.
  ['3x32x32: c128k3p1 c90k3p1 c128k3p1 +1 c128k3p1 c128k3p1 +4 c90k3p1 c90k1 +8', 'whole', 0.6],
  ['3x32x32: c64k3p1 c128k1 c128k3p1g128 c64k1 +1 c128k1 c128k3p1g128 c64k1 +5', 'stream4', 1],
] as const;

test('ModelOptimizer.optimize() gives ONNX Runtime no large weights', { skip }, async (context) => {
  for (const [notation, plan, most] of CASES) {
    for (const level of ['layout', 'all'] as const) {
      await context.test(`${notation} as ${plan} at ${level}`, async (inner) => {
        await assertSame(programOf(storeGraph(inner, notation), plan, { level }), most);
      });
    }
  }
});

test('ModelOptimizer.optimize() leaves weights of other products where they are', {
  skip,
}, async (context) => {
  const rows = { op: 'MatMul', weights: [32, 1024], output: [1, 64, 32, 1024] };
  const upsampled = {
    op: 'ConvTranspose',
    weights: [64, 48, 2, 2],
    output: [1, 48, 64, 64],
    strides: [2, 2],
  };
  for (const product of [rows, upsampled]) {
    await context.test(product.op, async (inner) => {
      const graph = withProduct(graphOf('3x32x32: c64k3p1 c64k3p1'), product);
      await assertSame(programOf(storeWeights(graph, temporaryFolder(inner)), 'whole'), 0.4);
    });
  }
  // ONNX Runtime makes one Gemm of a product of matrices and an addition.
  await context.test('Gemm', async (inner) => {
    const maps = graphOf('3x16x16: c64k3p1 c64k3p1 m16s16');
    const flat = append(maps, { op: 'Flatten', inputs: [...maps.outputs], output: [1, 64] });
    const product = withProduct(flat, { op: 'MatMul', weights: [64, 500], output: [1, 500] });
    const bias = inlineConstant(Float32Array.from({ length: 500 }, mulberry32(5)));
    const list = new TensorList(product);
    const added = list.add({ name: 'bias', dtype: 'float32', shape: [500], constant: bias });
    const sum = append(
      { ...product, tensors: list.tensors },
      {
        op: 'Add',
        inputs: [...product.outputs, added],
        output: [1, 500],
      },
    );
    await assertSame(programOf(storeWeights(sum, temporaryFolder(inner)), 'whole'), 0.4);
  });
});

interface Appended {
  readonly op: string;
  readonly inputs: readonly number[];
  readonly output: readonly number[];
  readonly strides?: readonly number[];
}

/** Appends a node whose output is the graph's only one. */
function append(graph: Graph, { op, inputs, output, strides }: Appended): Graph {
  const list = new TensorList(graph);
  const made = list.add({ name: `${op}:out`, dtype: 'float32', shape: output, constant: null });
  const attributes: Node['attributes'] =
    strides === undefined ? {} : { strides: { kind: 'ints', value: strides } };
  const layer = graph.nodes.length;
  const node = { name: op, op, domain: '', inputs, outputs: [made], attributes, captures: [], layer };
  return { ...graph, tensors: list.tensors, nodes: [...graph.nodes, node], outputs: [made] };
}

/** Appends a product of the graph's output and weights of noise. */
function withProduct(
  graph: Graph,
  { weights: shape, ...product }: Omit<Appended, 'inputs'> & { readonly weights: readonly number[] },
): Graph {
  const list = new TensorList(graph);
  const count = shape.reduce((all, size) => all * size, 1);
  const constant = inlineConstant(Float32Array.from({ length: count }, mulberry32(3)));
  const weights = list.add({ name: 'weights', dtype: 'float32', shape, constant });
  return append({ ...graph, tensors: list.tensors }, { ...product, inputs: [...graph.outputs, weights] });
}

test('ModelOptimizer.optimize() gives the weights where ONNX Runtime computes new ones', {
  skip,
}, async (context) => {
  const scaled = graphOf('3x32x32: c64k3p1 c64k3p1 * c64k3p1');
  const program = programOf(storeWeights(scaled, temporaryFolder(context)), 'whole');
  const given = await assertSame(program, 1);
  assert.equal(given.length, 2, 'once with stand-ins, once with the weights');
});
