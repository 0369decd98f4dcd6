/** Models that ONNX Runtime optimises without their large weights are the ones that it makes with them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMachine } from '../../../agent/board/machine.js';
import { ModelOptimizer } from '../../../agent/engine/blocked/model-optimizer.js';
import { startExecutor } from '../../../agent/engine/executor-client.js';
import type { Executor } from '../../../agent/engine/wire/executor.js';
import type { OptimizeRequest, Program } from '../../../agent/engine/wire/protocol.js';
import { mulberry32 } from '../../../shared/darknet/index.js';
import type { Graph } from '../../../shared/graph/index.js';
import { elementAt, inlineConstant, TensorList, tensorAt, tensorBytes } from '../../../shared/graph/index.js';
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

async function assertSame(program: Program, most: number): Promise<void> {
  const { optimized, given } = await optimize(program);
  assert.ok(sessionsOfProgram(optimized).some((session) => session.optimized !== undefined));
  assert.deepEqual(await runProgram(optimized), await runProgram(program));
  const [left, all] = [given, modelsOf(program)].map((graphs) => Math.max(...graphs.map(constantBytes)));
  assert.ok(
    left !== undefined && all !== undefined && left <= most * all,
    `${left} bytes of ${all} are left`,
  );
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

test('ModelOptimizer.optimize() leaves weights of matrix products where they are', {
  skip,
}, async (context) => {
  const stored = storeWeights(withProduct(graphOf('3x16x16: c64k3p1 c64k3p1')), temporaryFolder(context));
  await assertSame(programOf(stored, 'whole'), 0.3);
});

/** Multiplies the rows of a network's map with a matrix. */
function withProduct(graph: Graph): Graph {
  const list = new TensorList(graph);
  const [map] = graph.outputs.map((index) => tensorAt(graph, index));
  const shape = map?.shape ?? [];
  const [cols, count] = [elementAt(shape, 3), 1024];
  const constant = inlineConstant(Float32Array.from({ length: cols * count }, mulberry32(3)));
  const matrix = list.add({ name: 'matrix', dtype: 'float32', shape: [cols, count], constant });
  const product = list.add({
    name: 'product',
    dtype: 'float32',
    shape: [...shape.slice(0, 3), count],
    constant: null,
  });
  const [like] = graph.nodes;
  assert.ok(like !== undefined);
  const inputs = [...graph.outputs, matrix];
  const node = {
    ...like,
    name: 'product',
    op: 'MatMul',
    inputs,
    outputs: [product],
    attributes: {},
    layer: 9,
  };
  return { ...graph, tensors: list.tensors, nodes: [...graph.nodes, node], outputs: [product] };
}

test('ModelOptimizer.optimize() gives the weights where ONNX Runtime computes new ones', {
  skip,
}, async (context) => {
  const scaled = graphOf('3x32x32: c64k3p1 c64k3p1 * c64k3p1');
  const program = programOf(storeWeights(scaled, temporaryFolder(context)), 'whole');
  await assertSame(program, 1);
});
