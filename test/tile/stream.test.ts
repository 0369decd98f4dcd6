import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AxisRule, Graph, NodeRange } from '../../shared/graph/index.js';
import { localityOf, tensorAt } from '../../shared/graph/index.js';
import type { Phase, Stream } from '../../shared/tile/index.js';
import { PHASES, phasesOf, sizeAlong, streamRuleOf } from '../../shared/tile/index.js';
import type { StreamOperand } from '../../shared/tile/stream.js';
import { streamRange } from '../../shared/tile/stream.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

test('streamRange() makes the first step longer by the halo and the last by what is left', () => {
  const cases = [
    // Rows of each tensor in the first step, each middle one, and the last.
    ['3x20x9: c4k3p1', 4, '5 4 3|4 4 4', 3],
    ['3x20x9: c4k3p1 c4k3p1', 4, '6 4 2|5 4 3|4 4 4', 3],
    ['3x20x9: c4k3p1 c4k3p1', 1, '3 1 1|2 1 2|1 1 3', 16],
    ['3x20x9: c4k3p1 m2s2', 2, '5 4 3|4 4 4|2 2 2', 3],
    ['3x20x9: c4k3s2p1 u2', 2, '4 4 4|2 2 2|4 4 4', 3],
    ['3x21x9: c4k1s3', 1, '3 3 1|1 1 1', 5],
    ['3x20x9: c4k3', 4, '6 4 2|4 4 2', 3],
  ] as const;
  for (const [notation, units, rows, middleSteps] of cases) {
    const { graph, stream } = streamOf(notation, units);
    const maps = [0, ...graph.nodes.flatMap(({ outputs }) => outputs)];
    const found = maps.map((tensor) => PHASES.map((phase) => stream?.rows[phase].get(tensor)).join(' '));
    assert.equal(found.join('|'), rows, notation);
    assert.equal(stream?.middleSteps, middleSteps, notation);
  }
});

test('streamRange() keeps what windows need again, and pads at the borders alone', () => {
  const cases = [
    ['3x20x9: c4k3p1', ['1:0 top 1 kept 2 bottom 1']],
    ['3x20x9: c4k5p2.0.1.0', ['1:0 top 2 kept 4 bottom 1']],
    ['3x20x9: c4k3p2d2', ['1:0 top 2 kept 4 bottom 2']],
    ['3x20x9: m2s2', []],
    ['3x20x9: c4k1s3', []],
    ['3x20x9: c4k3s2p1', ['1:0 top 1 kept 1 bottom 0']],
    // The sum waits for the longer branch, and keeps the rows of the shorter.
    ['4x20x9: c4k3p1 +0', ['1:0 top 1 kept 2 bottom 1', '2:1 top 0 kept 1 bottom 0 takes 4 4 4']],
    // Ceil mode would make a row more of surplus rows.
    ['3x21x9: m2s2^', ['1:0 top 0 kept 0 bottom 1']],
  ] as const;
  for (const [notation, operands] of cases) {
    const { stream } = streamOf(notation, 4);
    assert.deepEqual(stream?.operands.map(describeOperand), operands, notation);
  }
});

test('streamRange() gives nothing when the first step would be the whole map', () => {
  const cases = [
    ['3x20x9: c4k3p1', 20],
    ['3x20x9: c4k3p1', 19],
    ['3x8x9: c4k7p3 c4k7p3 c4k7p3', 1],
    ['3x5x9: c4k7p3', 3],
    ['3x1x9: c4k1', 1],
    ['3x12x9: m2s2 m2s2 m2s2', 1],
    ['3x20x9: c4k1p9 c4k3', 30],
  ] as const;
  for (const [notation, units] of cases) assert.equal(streamOf(notation, units).stream, undefined, notation);
  assert.notEqual(streamOf('3x20x9: c4k3p1', 18).stream, undefined);
});

test('streamRange() gives nothing when an operator is a barrier for streams', () => {
  assert.equal(streamOf('3x32x9: c4k3p1 e c4k3p1', 2).stream, undefined);
});

test('streamRange() ends before a last step without new rows', () => {
  // The last window starts in a row that upsampling had made along with the one before.
  assert.equal(streamOf('3x9x4: u2 c4k1s3 c4k2', 1).stream?.middleSteps, 0);
});

test('streamRange() gives every tensor at least one row in every step', () => {
  fc.assert(
    fc.property(graphs, units, ({ notation }, step) => {
      const { stream } = streamOf(notation, step);
      fc.pre(stream !== undefined);
      for (const phase of PHASES) {
        for (const [tensor, rows] of stream.rows[phase])
          assert.ok(rows >= 1, `${tensor} in ${phase}: ${rows}`);
      }
    }),
    { numRuns: 400 },
  );
});

test('streamRange() makes every output row once, and reads no input row twice', () => {
  fc.assert(
    fc.property(graphs, units, ({ notation }, step) => {
      const { graph, stream } = streamOf(notation, step);
      fc.pre(stream !== undefined);
      const total = (tensor: number) =>
        phasesOf(stream).reduce((sum, phase) => sum + (stream.rows[phase].get(tensor) ?? 0), 0);
      const { inputs, outputs } = stream.space.boundary;
      for (const output of outputs) assert.equal(total(output), sizeAlong(graph, output, 'rows'));
      for (const input of inputs) assert.ok(total(input) <= sizeAlong(graph, input, 'rows'));
    }),
    { numRuns: 400 },
  );
});

test('streamRange() agrees with a naive stream that makes row after row', () => {
  let streams = 0;
  fc.assert(
    fc.property(graphs, units, ({ notation }, step) => {
      const { graph, range, stream } = streamOf(notation, step);
      fc.pre(graph.nodes.every((node) => streamRuleOf(graph, node).kind === 'padded'));
      // Without a stream there is no frame to run the naive one in.
      if (stream === undefined) return;
      streams += stream.middleSteps >= 3 ? 1 : 0;
      assertNaive({ graph, range, stream }, step);
    }),
    { numRuns: 500 },
  );
  assert.ok(streams > 200, `only ${streams} streams with middle steps`);
});

test('streamRange() gives nothing only where the naive stream has but one step', () => {
  fc.assert(
    fc.property(graphs, units, ({ notation }, step) => {
      const { graph, range, stream } = streamOf(notation, step);
      const frame = streamOf(notation, 1).stream;
      // A block of an operator that is cropped may need more rows than the naive stream asks for.
      fc.pre(graph.nodes.every((node) => streamRuleOf(graph, node).kind !== 'cropped'));
      fc.pre(stream === undefined && frame !== undefined);
      assert.equal(naiveSteps({ graph, range, stream: frame }, step).length, 1);
    }),
    { numRuns: 40 },
  );
});

interface Streamed {
  readonly graph: Graph;
  readonly range: NodeRange;
  readonly stream: Stream;
}

function streamOf(notation: string, step: number) {
  const graph = graphOf(notation);
  const range = { from: 0, to: graph.nodes.length };
  return { graph, range, stream: streamRange(graph, range, step)?.stream };
}

function describeOperand({ node, input, top, kept, bottom, takes }: StreamOperand): string {
  const used = takes === undefined ? '' : ` takes ${PHASES.map((phase) => takes[phase]).join(' ')}`;
  return `${node + 1}:${input} top ${top} kept ${kept} bottom ${bottom}${used}`;
}

/** One spatial input of a node, as its rule gives it. */
interface Edge {
  readonly node: number;
  readonly input: number;
  readonly tensor: number;
  readonly rule: AxisRule;
}

/** Rows that the naive stream saw in one step. */
interface NaiveStep {
  /** Rows of each tensor that are there at its end. */
  readonly rows: ReadonlyMap<number, number>;
  /** First row and end of the rows that the windows of each edge cover. Padding is below 0 or beyond the map. */
  readonly windows: ReadonlyMap<Edge, readonly [number, number]>;
}

/** Makes row after row when an operator asks for it. It knows neither schedules nor phases. */
class NaiveStream {
  readonly rows = new Map<number, number>();
  windows = new Map<Edge, readonly [number, number]>();
  readonly #edges: readonly Edge[];
  readonly #graph: Graph;
  /** Whether only rows of the map are asked for. In earlier steps windows run on, and rows strided over come along. */
  readonly #isLast: boolean;

  constructor({ graph, range, stream }: Streamed, isLast: boolean, before?: NaiveStream) {
    this.#graph = graph;
    this.#isLast = isLast;
    this.#edges = before?.edges ?? edgesOf({ graph, range, stream });
    for (const [tensor, rows] of before?.rows ?? []) this.rows.set(tensor, rows);
  }

  get edges(): readonly Edge[] {
    return this.#edges;
  }

  pull(tensor: number, wanted: number): void {
    const readers = this.#edges.filter(({ node }) => this.#graph.nodes[node]?.outputs.includes(tensor));
    if (readers.length === 0) this.rows.set(tensor, Math.max(this.rows.get(tensor) ?? 0, wanted));
    while ((this.rows.get(tensor) ?? 0) < wanted) this.#make(readers);
  }

  #make(readers: readonly Edge[]): void {
    const [{ node, rule } = { node: -1, rule: undefined }] = readers;
    const outputs = this.#graph.nodes[node]?.outputs ?? [];
    const row = this.rows.get(outputs[0] ?? -1) ?? 0;
    for (const edge of readers) {
      const { stride, pad, extent, up } = edge.rule;
      const first = (row / up) * stride - pad;
      this.windows.set(edge, [this.windows.get(edge)?.[0] ?? first, first + extent]);
      const onMap = Math.min(first + extent, sizeAlong(this.#graph, edge.tensor, 'rows'));
      this.pull(edge.tensor, this.#isLast ? onMap : Math.max(first + extent, first + stride));
    }
    for (const output of outputs) this.rows.set(output, row + (rule?.up ?? 1));
  }
}

function edgesOf({ graph, range, stream }: Streamed): readonly Edge[] {
  return graph.nodes.slice(range.from, range.to).flatMap((node, at) => {
    const locality = localityOf(graph, node);
    return (locality.kind === 'local' ? locality.inputs : []).flatMap((rule, input) => {
      const tensor = node.inputs[input] ?? -1;
      const isMap = rule !== null && stream.space.scales.has(tensor);
      return isMap ? [{ node: range.from + at, input, tensor, rule: rule.rows }] : [];
    });
  });
}

/** Runs the naive stream step by step. Steps are alike until one would leave no row of some tensor to the last. */
function naiveSteps(streamed: Streamed, units: number): readonly NaiveStep[] {
  const { graph, stream } = streamed;
  const { boundary, totalStride, scales } = stream.space;
  const outputs = boundary.outputs.filter((tensor) => scales.has(tensor));
  const pullAll = (to: NaiveStream, rowsOf: (tensor: number) => number) => {
    for (const tensor of outputs) to.pull(tensor, rowsOf(tensor));
    return to;
  };
  const lastOf = (before?: NaiveStream) =>
    pullAll(new NaiveStream(streamed, true, before), (tensor) => sizeAlong(graph, tensor, 'rows'));
  const total = lastOf().rows;
  const steps: NaiveStream[] = [];
  for (let reference = units * totalStride.rows; ; reference += units * totalStride.rows) {
    const before = steps.at(-1);
    if (before === undefined && reference >= sizeAlong(graph, stream.space.reference, 'rows')) break;
    const step = pullAll(new NaiveStream(streamed, false, before), (tensor) => {
      const { numerator = 1, denominator = 1 } = scales.get(tensor)?.rows ?? {};
      return (reference * numerator) / denominator;
    });
    if ([...step.rows].some(([tensor, rows]) => rows >= (total.get(tensor) ?? 0))) break;
    // The first step goes on until every operator has given a row.
    if ([...scales.keys()].every((tensor) => (step.rows.get(tensor) ?? 0) >= 1)) steps.push(step);
  }
  return [...steps, lastOf(steps.at(-1))];
}

function assertNaive(streamed: Streamed, units: number): void {
  const { stream } = streamed;
  const steps = naiveSteps(streamed, units);
  const phases = phasesOf(stream);
  assert.equal(steps.length, phases.length, 'steps');
  const edges = edgesOf(streamed);
  for (const [at, step] of steps.entries()) {
    const phase = phases[at] ?? 'last';
    for (const [tensor, rows] of step.rows) {
      const { name } = tensorAt(streamed.graph, tensor);
      const before = steps[at - 1]?.rows.get(tensor) ?? 0;
      assert.equal(stream.rows[phase].get(tensor), rows - before, `rows of ${name} in the ${phase} step`);
    }
    for (const edge of edges) assertOperand(stream, { edge, phase, step, before: steps[at - 1] });
  }
}

interface Place {
  readonly edge: Edge;
  readonly phase: Phase;
  readonly step: NaiveStep;
  readonly before: NaiveStep | undefined;
}

/** Asserts that an operator sees all rows of its windows, and more only where they make no whole stride. */
function assertOperand(stream: Stream, { edge, phase, step, before }: Place): void {
  const { node, input, tensor, rule } = edge;
  const operand = stream.operands.find((one) => one.node === node && one.input === input);
  const { top = 0, kept = 0, bottom = 0, takes } = operand ?? {};
  const [from = 0, to = 0] =
    [...step.windows].find(([{ node: at, input: one }]) => at === node && one === input)?.[1] ?? [];
  const label = `node ${node} input ${input} in the ${phase} step`;
  const there = {
    from: phase === 'first' ? 0 - top : (before?.rows.get(tensor) ?? 0) - kept,
    to: (step.rows.get(tensor) ?? 0) + (phase === 'last' ? bottom : 0),
  };
  assert.equal(there.from, from, `${label} starts`);
  assert.ok(there.to >= to, `${label} lacks rows`);
  if (takes === undefined) assert.ok(there.to - to < Math.max(rule.stride, 1), `${label} sees too much`);
  else assert.equal(takes[phase], to - from, `${label} takes`);
}

const units = fc.integer({ min: 1, max: 6 });

const number = (min: number, max: number) => fc.integer({ min, max });

/** Wide pads at the sides keep any window within the columns. */
const convolution = fc
  .tuple(number(1, 7), number(1, 3), number(1, 3), number(0, 9), number(0, 9))
  .map(
    ([kernel, stride, dilation, top, bottom]) => `c4k${kernel}s${stride}d${dilation}p${top}.9.${bottom}.9`,
  );

const pool = fc
  .tuple(fc.constantFrom('m', 'a'), number(2, 6), number(1, 3), number(0, 1), fc.constantFrom('', '^', '+'))
  .map(
    ([kind, kernel, stride, pad, mode]) =>
      `${kind}${kernel}s${stride}p${pad}${kind === 'm' ? mode.replace('+', '') : mode}`,
  );

/** `R` stands for a block with a residual. */
const words = fc.array(
  fc.oneof(convolution, pool, fc.constantFrom('u2', 'u3', 'd2', 's2', 'r', '!', 'R', 'R')),
  {
    minLength: 1,
    maxLength: 8,
  },
);

/** Adds cases that `randomGraph` lacks: strides of 3, and pads larger than kernels, where windows lie in padding. */
const chains = fc.tuple(number(5, 90), words).map(([rows, chosen]) => {
  let notation = `4x${rows}x40:`;
  let made = 0;
  for (const word of chosen) {
    const candidate = `${notation} ${word === 'R' ? `c4k3p1 r +${made}` : word}`;
    try {
      made = graphOf(candidate).nodes.length;
      notation = candidate;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  return { notation: made === 0 ? `${notation} r` : notation };
});

/** Adds rows in multiples of 64, so that maps of equal height stay equal. */
const stretched = fc
  .tuple(randomGraph({ maxSize: 40, maxWords: 10 }), number(0, 2))
  .map(([{ notation }, times]) => ({
    notation: notation.replace(/^3x(\d+)/, (_, rows) => `3x${Number(rows) + 64 * times}`),
  }))
  .filter(({ notation }) => isGraph(notation));

function isGraph(notation: string): boolean {
  try {
    return graphOf(notation).nodes.length > 0;
  } catch {
    return false;
  }
}

const graphs = fc.oneof(chains, stretched);

test('streamRange() refuses a branch that meets the others outside of the range only', () => {
  const graph = graphOf('3x64x9: c8k3p1 c8k3p1 @0 c8k3p1 &2');
  assert.equal(streamRange(graph, { from: 1, to: 3 }, 4), undefined);
  assert.ok(streamRange(graph, { from: 1, to: 4 }, 4));
});
