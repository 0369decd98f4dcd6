/** The promise of bit-exactness, case by case: docs/benchmarks.md, "Rounding of cropped convolutions", measured them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Graph } from '../../shared/graph/index.js';
import { elementAt, tensorAt } from '../../shared/graph/index.js';
import { isBitExact } from '../../shared/predict/bit-exact.js';
import { LEVELS } from '../../shared/predict/index.js';
import { buildPlan, parsePlan } from '../../shared/search/index.js';
import type { ShapeOf } from '../../shared/tile/index.js';
import { wholeShapes } from '../../shared/tile/index.js';
import { graphOf } from '../notation.js';

interface Case {
  readonly graph: string;
  /** Operators that take the place of the notation's, which has no words for them. */
  readonly as?: Readonly<Record<string, string>>;
  /** Nodes of the range; all if absent. */
  readonly range?: readonly [from: number, to: number];
  /** Rows and columns of every map in each step; `whole` if absent. */
  readonly steps?: readonly (readonly [rows: number, cols: number])[];
  readonly streamed?: boolean;
  readonly threads?: number;
  readonly blocked?: boolean;
}

type Row = readonly [why: string, expected: boolean, of: Case];

/** 14 x 3 x 3 = 126 and 16 x 3 x 3 = 144: inner dimensions on either side of a block of 128. */
const SHALLOW = '14x40x40: c8k3p1';
const DEEP = '16x40x40: c8k3p1';

const RESIDUAL = '3x40x40: c8k3p1 r c8k3p1 +2';
const STREAMED_SUMS = [
  ['a sum that takes a Conv in, streamed', false, RESIDUAL],
  ['a sum that takes a Conv and its scaling in, streamed', false, '3x40x40: c8k3p1 r c8k3p1 * +2'],
  ['a sum of activations, streamed', true, '3x40x40: c8k3p1 r c8k3p1 r +2'],
] as const;

const WHOLE: readonly Row[] = [
  ['nothing is cut', true, { graph: '3x32x32: c8k3p1 r m2s2 c8k3p1' }],
  ['a small deep map runs whole', true, { graph: '64x4x4: c8k3p1 c8k1' }],
  ['a single pixel runs whole', true, { graph: '64x3x3: c8k3' }],
  ['Softplus runs whole', true, { graph: '3x32x32: c8k1 t', as: { Tanh: 'Softplus' } }],
  ['a cut after an activation', true, { graph: '3x32x32: c8k3p1 r c8k3p1', range: [0, 2] }],
  ['a cut before an activation', true, { graph: '3x32x32: c8k3p1 r', range: [0, 1] }],
  ['a cut after a pool', true, { graph: '3x32x32: c8k3p1 m2s2 *', range: [0, 2] }],
  ['a cut before a Mul that a Conv takes in', false, { graph: '3x32x32: c8k3p1 *', range: [0, 1] }],
  ['the range of that Mul', true, { graph: '3x32x32: c8k3p1 *', range: [1, 2] }],
  ['a cut before an Add of two branches', false, { graph: '3x32x32: c8k1 c8k1 +1', range: [0, 2] }],
  ['an Add within the range', true, { graph: '3x32x32: c8k1 c8k1 +1 r', range: [0, 3] }],
  ['an Add whose Convs lie further back', false, { graph: '3x32x32: c8k1 r +1', range: [0, 2] }],
  ...['Sub', 'Div', 'Sum', 'BatchNormalization'].map((op): Row => {
    const graph = '3x32x32: c8k3p1 *';
    return [`a cut before ${op}`, false, { graph, as: { Mul: op }, range: [0, 1] }];
  }),
  ...['ConvTranspose', 'MatMul', 'Gemm'].map((op): Row => {
    const graph = '3x32x32: c8k3p1 *';
    return [`a cut after ${op}`, false, { graph, as: { Conv: op }, range: [0, 1] }];
  }),
];

const BLOCKED: readonly Row[] = [
  ['nothing is cut', true, { graph: '3x32x32: c8k3p1 r c8k3p1', blocked: true }],
  ['a cut after an activation', false, { graph: '3x32x32: c8k3p1 r c8k3p1', range: [0, 2], blocked: true }],
  ['the range after a cut', false, { graph: '3x32x32: c8k3p1 r c8k3p1', range: [2, 3], blocked: true }],
  ['all nodes in steps of many pixels', true, { graph: DEEP, steps: [[8, 40]], blocked: true }],
  ...STREAMED_SUMS.map(
    ([why, expected, graph]): Row => [
      why,
      expected,
      { graph, steps: [[8, 40]], streamed: true, blocked: true },
    ],
  ),
  ['a sum that takes a Conv in, in tiles', true, { graph: RESIDUAL, steps: [[8, 40]], blocked: true }],
  [
    'a sum that takes a Conv in, streamed in plain order',
    true,
    { graph: RESIDUAL, steps: [[8, 40]], streamed: true },
  ],
  ['all nodes in steps of few pixels', false, { graph: DEEP, steps: [[1, 40]], blocked: true }],
];

const STEPS: readonly Row[] = [
  ['3x3, inner 126, 2 pixels', true, { graph: SHALLOW, steps: [[1, 2]] }],
  ['3x3, inner 126, 1 pixel', false, { graph: SHALLOW, steps: [[1, 1]] }],
  ['1x1, inner 128, 2 pixels', true, { graph: '128x40x40: c8k1', steps: [[2, 1]] }],
  ['1x1, inner 128, 1 pixel', false, { graph: '128x40x40: c8k1', steps: [[1, 1]] }],
  ['1x1, inner 129, 2 pixels', false, { graph: '129x40x40: c8k1', steps: [[1, 2]] }],
  ['1x1, inner 256, 64 pixels', false, { graph: '256x40x40: c8k1', steps: [[8, 8]] }],
  ['1x1, inner 256, 65 pixels', true, { graph: '256x40x40: c8k1', steps: [[5, 13]] }],
  ['6x6, inner 144, 64 pixels', false, { graph: '4x40x40: c4k6', steps: [[8, 8]] }],
  ['depthwise 3x3, inner 9, 2 pixels', true, { graph: '256x40x40: c256k3p1g256', steps: [[1, 2]] }],
  ['depthwise 3x3, inner 9, 1 pixel', false, { graph: '256x40x40: c256k3p1g256', steps: [[1, 1]] }],
  ['grouped 3x3, inner 72, 2 pixels', true, { graph: '32x40x40: c8k3p1g4', steps: [[1, 2]] }],
  ['grouped 3x3, inner 144, 64 pixels', false, { graph: '64x40x40: c8k3p1g4', steps: [[8, 8]] }],
  ['inner 144, 63 pixels', false, { graph: DEEP, steps: [[7, 9]] }],
  ['inner 144, 64 pixels', false, { graph: DEEP, steps: [[8, 8]] }],
  ['inner 144, 65 pixels', true, { graph: DEEP, steps: [[5, 13]] }],
  ['inner 144, 65 pixels, 2 threads', false, { graph: DEEP, steps: [[5, 13]], threads: 2 }],
  ['inner 144, 144 pixels, 2 threads', false, { graph: DEEP, steps: [[12, 12]], threads: 2 }],
  ['inner 144, 145 pixels, 2 threads', true, { graph: DEEP, steps: [[5, 29]], threads: 2 }],
  ['inner 144, 145 pixels, 3 threads', false, { graph: DEEP, steps: [[5, 29]], threads: 3 }],
  ['inner 144, 256 pixels, 3 threads', false, { graph: DEEP, steps: [[16, 16]], threads: 3 }],
  ['inner 144, 259 pixels, 3 threads', true, { graph: DEEP, steps: [[7, 37]], threads: 3 }],
  ['inner 126, 2 pixels, 3 threads', true, { graph: SHALLOW, steps: [[1, 2]], threads: 3 }],
  [
    'one of several steps is small',
    false,
    {
      graph: DEEP,
      steps: [
        [8, 40],
        [1, 40],
      ],
    },
  ],
  ['one of several convolutions is deep', false, { graph: '3x40x40: c16k3p1 c8k3p1', steps: [[8, 8]] }],
  ['the full map is small itself', false, { graph: '16x8x8: c8k3p1', steps: [[8, 8]] }],
  ['no convolution', true, { graph: '3x32x32: r m2s2', steps: [[1, 1]] }],
  ['Tanh in steps', true, { graph: '3x32x32: t', steps: [[3, 3]] }],
  ...['Softplus', 'Log', 'Mish'].map((op): Row => {
    return [`${op} in steps`, false, { graph: '3x32x32: t', as: { Tanh: op }, steps: [[3, 3]] }];
  }),
  ['an average of one pixel a step', false, { graph: '3x32x32: a2s2', steps: [[1, 1]] }],
  ['an average of two pixels a step', true, { graph: '3x32x32: a2s2', steps: [[1, 2]] }],
  ['an average of the full map', true, { graph: '3x8x8: a8', steps: [[1, 1]] }],
  ['a maximum of one pixel a step', true, { graph: '3x32x32: m2s2', steps: [[1, 1]] }],
  ['a cut before a Mul, in steps', false, { graph: '3x32x32: c8k1 *', range: [0, 1], steps: [[8, 32]] }],
];

for (const [mode, rows] of Object.entries({ whole: WHOLE, blocked: BLOCKED, 'in steps': STEPS })) {
  test(`isBitExact() of ranges that run ${mode}`, () => {
    for (const [why, expected, of] of rows) assert.equal(isExact(of), expected, why);
  });
}

test('buildPlan() promises equal bits of plans with a cut at the levels without blocked kernels only', () => {
  const graph = graphOf('3x64x64: c8k3p1 r c8k3p1 r');
  for (const plan of ['whole | 2 | whole', 'stream8 | 2 | whole', '2x2 | 2 | stream8']) {
    const exact = LEVELS.filter((level) =>
      buildPlan(graph, parsePlan(plan), { level, threads: 2 }).segments.every(
        (one) => one.prediction.bitExact,
      ),
    );
    assert.deepEqual(exact, ['disabled', 'basic', 'extended'], plan);
  }
});

function isExact({
  graph: notation,
  as = {},
  range,
  steps,
  streamed = false,
  threads = 1,
  blocked = false,
}: Case): boolean {
  const built = graphOf(notation);
  const graph = { ...built, nodes: built.nodes.map((node) => ({ ...node, op: as[node.op] ?? node.op })) };
  const [from, to] = range ?? [0, graph.nodes.length];
  const shapes = steps?.map(([rows, cols]) => shapesOf(graph, rows, cols)) ?? 'whole';
  return isBitExact(graph, { from, to }, { steps: shapes, streamed, threads, blocked });
}

/** All maps of one size. */
function shapesOf(graph: Graph, rows: number, cols: number): ShapeOf {
  const whole = wholeShapes(graph);
  return (tensor) => {
    const shape = whole(tensor);
    if (tensorAt(graph, tensor).constant !== null) return shape;
    return [elementAt(shape, 0), elementAt(shape, 1), rows, cols];
  };
}
