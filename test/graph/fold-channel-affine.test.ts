import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mulberry32 } from '../../shared/darknet/index.js';
import type { Graph, Node, NodeSpec } from '../../shared/graph/index.js';
import { constantNumbers, foldChannelAffine, GraphBuilder, tensorAt } from '../../shared/graph/index.js';
import { graphOf } from '../notation.js';

test('foldChannelAffine() folds BatchNormalization as float64 arithmetic does', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      fc.constantFrom(1e-5, 0.001),
      fc.nat(),
      (filters, hasBias, epsilon, seed) => {
        const network = new ConvNetwork({ filters, hasBias, seed });
        const [scale, beta, mean, variance] = network.normalize(epsilon);
        const { weights, bias } = foldedConv(network.build());
        for (let filter = 0; filter < filters; filter += 1) {
          const factor = at(scale, filter) / Math.sqrt(at(variance, filter) + Math.fround(epsilon));
          const shift = at(beta, filter) - at(mean, filter) * factor;
          assertClose(bias[filter], at(network.bias, filter) * factor + shift);
          for (let tap = filter * TAPS; tap < (filter + 1) * TAPS; tap += 1) {
            assertClose(weights[tap], at(network.weights, tap) * factor);
          }
        }
      },
    ),
  );
});

test('foldChannelAffine() folds arithmetic with constants of one value a channel', () => {
  const value = [2, -0.5, 4];
  const cases = [
    ['Mul', 'after', (y: number, c: number) => y * c],
    ['Mul', 'before', (y: number, c: number) => c * y],
    ['Div', 'after', (y: number, c: number) => y / c],
    ['Add', 'after', (y: number, c: number) => y + c],
    ['Add', 'before', (y: number, c: number) => c + y],
    ['Sub', 'after', (y: number, c: number) => y - c],
    ['Sub', 'before', (y: number, c: number) => c - y],
  ] as const;
  for (const shape of [[1, 3, 1, 1], [3, 1, 1], [1], []]) {
    for (const [op, side, apply] of cases) {
      const network = new ConvNetwork({ filters: 3, hasBias: true, seed: 5 });
      const values = shape.includes(3) ? value : [3];
      network.combine({ op, side, shape, values });
      const { weights, bias } = foldedConv(network.build());
      for (const filter of [0, 1, 2]) {
        const constant = values[filter] ?? 3;
        // The results of w x + b for x = 0 and for x = 1 determine the folded weight and bias.
        const [w, b] = [at(network.weights, filter * TAPS), at(network.bias, filter)];
        assertClose(bias[filter], apply(b, constant));
        assertClose(weights[filter * TAPS], apply(w + b, constant) - apply(b, constant));
      }
    }
  }
});

test('foldChannelAffine() folds a chain into one convolution', () => {
  const graph = graphOf('3x8x8: c4k3p1 * * c4k1 *');
  const folded = foldChannelAffine(graph);
  assert.deepEqual(opsOf(folded), ['Conv', 'Conv']);
  assert.equal(tensorAt(folded, folded.outputs[0] ?? -1).name, tensorAt(graph, graph.outputs[0] ?? -1).name);
});

test('foldChannelAffine() changes nothing the second time', () => {
  const folded = foldChannelAffine(graphOf('3x8x8: * c4k3p1 * ! r * c4k1 e *'));
  assert.equal(foldChannelAffine(folded), folded);
});

test('foldChannelAffine() keeps what does not follow a convolution that only it reads', () => {
  const cases = [
    ['3x8x8: c4k3p1 r *', ['Conv', 'Relu', 'Mul']],
    ['3x8x8: c4k3p1 ! *', ['Conv', 'Mul']],
    ['3x8x8: c4k3p1 * @1 c4k1 +2', ['Conv', 'Mul', 'Conv', 'Add']],
    ['3x8x8: c4k3p1 x1', ['Conv', 'Mul']],
    ['3x8x8: * m2s2 *', ['Mul', 'MaxPool', 'Mul']],
  ] as const;
  for (const [notation, ops] of cases) assert.deepEqual(opsOf(foldChannelAffine(graphOf(notation))), ops);
});

test('foldChannelAffine() keeps constants that vary over more than channels', () => {
  for (const shape of [[8], [8, 1], [1, 3, 8, 8], [1, 1, 1, 8], [2, 1, 1, 1]]) {
    const network = new ConvNetwork({ filters: 3, hasBias: false, seed: 1 });
    const length = shape.reduce((product, dim) => product * dim, 1);
    network.combine({ op: 'Mul', side: 'after', shape, values: Array.from({ length }, () => 2) });
    assert.deepEqual(opsOf(foldChannelAffine(network.build())), ['Conv', 'Mul'], `[${shape}]`);
  }
});

test('foldChannelAffine() keeps a constant divided by a convolution', () => {
  const network = new ConvNetwork({ filters: 3, hasBias: false, seed: 1 });
  network.combine({ op: 'Div', side: 'before', shape: [], values: [2] });
  assert.deepEqual(opsOf(foldChannelAffine(network.build())), ['Conv', 'Div']);
});

test('foldChannelAffine() keeps BatchNormalization in training mode', () => {
  const network = new ConvNetwork({ filters: 2, hasBias: false, seed: 1 });
  network.normalize(1e-5);
  const graph = network.build();
  const training = { training_mode: { kind: 'int', value: 1 } } as const;
  const nodes = graph.nodes.map((node) => ({ ...node, attributes: { ...node.attributes, ...training } }));
  assert.deepEqual(opsOf(foldChannelAffine({ ...graph, nodes })), ['Conv', 'BatchNormalization']);
});

test('foldChannelAffine() leaves the weights of another convolution as they were', () => {
  const builder = new GraphBuilder();
  const image = builder.addInput('x', [1, 1, 8, 8]);
  const weights = builder.addConstant('w', Float32Array.of(3), [1, 1, 1, 1]);
  const factor = builder.addConstant('c', Float32Array.of(2), []);
  const convolve = () => addMap(builder, { op: 'Conv', inputs: [image, weights] });
  const plain = convolve();
  const doubled = addMap(builder, { op: 'Mul', inputs: [convolve(), factor] });
  const graph = foldChannelAffine(builder.build('shared', [plain, doubled]));
  const values = graph.nodes.map(({ inputs }) => constantNumbers(graph, inputs[1]));
  assert.deepEqual(values, [[3], [6]]);
});

test('foldChannelAffine() leaves constants of a wrong length for ONNX Runtime to refuse', () => {
  for (const [biases, parameters] of [
    [3, 2],
    [2, 3],
  ] as const) {
    const builder = new GraphBuilder();
    const vector = (length: number) => builder.addConstant('c', new Float32Array(length).fill(1), [length]);
    const weights = builder.addConstant('w', new Float32Array(3 * TAPS), [3, TAPS, 1, 1]);
    const image = builder.addInput('x', [1, TAPS, 8, 8]);
    const conv = addMap(builder, { op: 'Conv', inputs: [image, weights, vector(biases)] });
    const inputs = [conv, ...[1, 2, 3, 4].map(() => vector(parameters))];
    const graph = builder.build('conv', [addMap(builder, { op: 'BatchNormalization', inputs })]);
    assert.deepEqual(opsOf(foldChannelAffine(graph)), ['Conv', 'BatchNormalization']);
  }
});

/** Weights of one filter: 2 channels of 1 x 1. */
const TAPS = 2;

interface ConvOptions {
  readonly filters: number;
  readonly hasBias: boolean;
  readonly seed: number;
}

interface Combination {
  readonly op: string;
  /** Position of the constant among the inputs. */
  readonly side: 'before' | 'after';
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** A convolution with random weights and an operator after it. */
class ConvNetwork {
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  readonly #builder = new GraphBuilder();
  readonly #random: () => number;
  readonly #filters: number;
  #last: number;

  constructor({ filters, hasBias, seed }: ConvOptions) {
    this.#random = mulberry32(seed);
    this.#filters = filters;
    this.weights = this.#draw(filters * TAPS, -1);
    this.bias = hasBias ? this.#draw(filters, -1) : new Float32Array(filters);
    const inputs = [
      this.#builder.addInput('x', [1, TAPS, 8, 8]),
      this.#builder.addConstant('w', this.weights, [filters, TAPS, 1, 1]),
      ...(hasBias ? [this.#builder.addConstant('b', this.bias, [filters])] : []),
    ];
    this.#last = addMap(this.#builder, { op: 'Conv', inputs });
  }

  /** @returns scale, beta, mean and variance. */
  normalize(epsilon: number): readonly Float32Array[] {
    const parameters = [-1, -1, -1, 0].map((min) => this.#draw(this.#filters, min));
    const inputs = parameters.map((values, at) =>
      this.#builder.addConstant(`p${at}`, values, [this.#filters]),
    );
    this.#last = addMap(this.#builder, {
      op: 'BatchNormalization',
      inputs: [this.#last, ...inputs],
      attributes: { epsilon: Math.fround(epsilon) },
      floats: ['epsilon'],
    });
    return parameters;
  }

  combine({ op, side, shape, values }: Combination): void {
    const constant = this.#builder.addConstant('c', Float32Array.from(values), shape);
    const inputs = side === 'after' ? [this.#last, constant] : [constant, this.#last];
    this.#last = addMap(this.#builder, { op, inputs });
  }

  build(): Graph {
    return this.#builder.build('conv', [this.#last]);
  }

  #draw(length: number, min: number): Float32Array {
    return Float32Array.from({ length }, () => min + this.#random() * (2 - min));
  }
}

function addMap(builder: GraphBuilder, spec: NodeSpec): number {
  return builder.addNode(0, spec, { dtype: 'float32', shape: [1, 3, 8, 8] });
}

/** Weights and bias of the one convolution that is left. */
function foldedConv(graph: Graph): { weights: readonly number[]; bias: readonly number[] } {
  const folded = foldChannelAffine(graph);
  const [conv, ...rest]: readonly (Node | undefined)[] = folded.nodes;
  assert.deepEqual([conv?.op, rest.length], ['Conv', 0]);
  return {
    weights: constantNumbers(folded, conv?.inputs[1]) ?? [],
    bias: constantNumbers(folded, conv?.inputs[2]) ?? [],
  };
}

/** Asserts equality up to one rounding from float64, since both sides may order the operations differently. */
function assertClose(found: number | undefined, expected: number): void {
  const tolerance = 2 ** -23 * Math.max(1, Math.abs(expected));
  assert.ok(Math.abs((found ?? Number.NaN) - expected) <= tolerance, `${found}, expected ${expected}`);
}

function at(values: Float32Array | undefined, index: number): number {
  return values?.[index] ?? Number.NaN;
}

function opsOf(graph: Graph): readonly string[] {
  return graph.nodes.map(({ op }) => op);
}
