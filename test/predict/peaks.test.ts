import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Graph } from '../../shared/graph/index.js';
import { tensorAt, tensorBytes, tensorsRead } from '../../shared/graph/index.js';
import { emptyWork, predictorOf, wholeSession } from '../../shared/predict/index.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

test('Account ends with input and output of the largest convolution', () => {
  // 8 x 32 x 32 floats are 32 KB; the input is the caller's. Plain 1x1 convolutions need no scratch.
  assert.equal(peakOf('3x32x32: c8k1 c8k1 c8k1'), 64 * 1024);
});

test('Account lets elementwise operators take over a dying input', () => {
  assert.equal(peakOf('3x32x32: c8k1 r t m2s2'), (32 + 8) * 1024);
});

test('Account keeps a tensor until its last reader has run', () => {
  assert.equal(peakOf('3x32x32: c8k1 c8k1 c8k1 +1'), 96 * 1024);
});

test('Account counts a slice of scratch a thread, or the whole im2col matrix of a small map', () => {
  assert.equal(peakOf('3x32x32: c8k3p1', 1), (32 + 64) * 1024);
  assert.equal(peakOf('3x32x32: c8k3p1', 2), (32 + 128) * 1024);
  const pixels = 4 * 4;
  assert.equal(peakOf('3x4x4: c64k3p1 c8k1', 1), pixels * 64 * 4 + pixels * 27 * 4);
});

test('Account counts all outputs of a step twice, since they are copied at its end', () => {
  assert.equal(peakOf('3x32x32: c8k1 ! m2s2'), 2 * (32 + 8) * 1024);
});

test('Account is never above a naive twin that reuses no buffer, and never below the largest step', () => {
  fc.assert(
    fc.property(randomGraph({ maxSize: 40, maxWords: 12 }), ({ notation }) => {
      const graph = graphOf(notation);
      const predicted = peakOf(notation, 1);
      const { naive, least } = naivePeak(graph);
      const most = Math.max(naive + scratchBound(graph), 2 * outputBytes(graph));
      assert.ok(predicted <= most, `${predicted} > ${most}`);
      assert.ok(predicted >= least, `${predicted} < ${least}`);
    }),
    { numRuns: 300 },
  );
});

/** Returns the bytes of the only step. They are its peak where that is more than its outputs twice. */
function peakOf(notation: string, threads = 1): number {
  const graph = graphOf(notation);
  const { account } = predictorOf(graph, { level: 'extended', threads }, emptyWork());
  const range = { from: 0, to: graph.nodes.length };
  return account.of(wholeSession(graph, account.kernels, range)).stepBytes;
}

/** Asks at every node which tensors are made by then and still needed. */
function naivePeak(graph: Graph): { naive: number; least: number } {
  const bytes = (index: number) => tensorBytes(tensorAt(graph, index));
  let naive = 0;
  let least = 0;
  for (const [at, node] of graph.nodes.entries()) {
    const made = graph.nodes.slice(0, at + 1).flatMap(({ outputs }) => outputs);
    const needed = new Set([
      ...graph.nodes.slice(at).flatMap(tensorsRead),
      ...graph.outputs,
      ...node.outputs,
    ]);
    const alive = made.filter((index) => needed.has(index));
    naive = Math.max(
      naive,
      alive.reduce((sum, index) => sum + bytes(index), 0),
    );
    least = Math.max(least, ...node.outputs.map(bytes));
  }
  return { naive, least };
}

function outputBytes(graph: Graph): number {
  return graph.outputs.reduce((sum, index) => sum + tensorBytes(tensorAt(graph, index)), 0);
}

/** Most scratch that any convolution of a graph could take. */
function scratchBound(graph: Graph): number {
  const matrices = graph.nodes
    .filter(({ op }) => op === 'Conv' || op === 'ConvTranspose')
    .map(({ op, inputs, outputs }) => {
      const weights = tensorAt(graph, inputs[1] ?? -1).shape?.slice(1) ?? [];
      const map = op === 'Conv' ? outputs[0] : inputs[0];
      const pixels = tensorAt(graph, map ?? -1).shape?.slice(2) ?? [];
      return [...weights, ...pixels].reduce((product, dim) => product * dim, 4);
    });
  return Math.max(64 * 1024, ...matrices);
}
