import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Graph, Node, NodeSpec } from '../../shared/graph/index.js';
import {
  constantNumbers,
  GraphBuilder,
  intsAttribute,
  makeGeometryExplicit,
  removeIdentities,
  tensorAt,
  windowRowsOut,
} from '../../shared/graph/index.js';
import { graphOf } from '../notation.js';
import { noise, run } from './run-map.js';

test('makeGeometryExplicit() turns auto_pad into pads', () => {
  const cases = [
    ['SAME_UPPER', { kernel_shape: [3, 3] }, [1, 1, 1, 1]],
    ['SAME_UPPER', { kernel_shape: [2, 4] }, [0, 1, 1, 2]],
    ['SAME_LOWER', { kernel_shape: [2, 4] }, [1, 2, 0, 1]],
    ['SAME_UPPER', { kernel_shape: [3, 3], strides: [2, 2] }, [0, 1, 1, 1]],
    ['SAME_UPPER', { kernel_shape: [3, 3], dilations: [2, 3] }, [2, 3, 2, 3]],
    ['SAME_UPPER', { kernel_shape: [1, 1], strides: [3, 3] }, [0, 0, 0, 0]],
    ['VALID', { kernel_shape: [3, 3] }, [0, 0, 0, 0]],
  ] as const;
  for (const [auto_pad, window, pads] of cases) {
    const node = explicit(mapNode({ op: 'MaxPool', attributes: { auto_pad, ...window } }, [1, 3, 8, 9]));
    assert.deepEqual(intsAttribute(node, 'pads'), pads, `${auto_pad} ${JSON.stringify(window)}`);
    assert.equal(node.attributes.auto_pad, undefined);
  }
});

test('makeGeometryExplicit() takes the kernel of a Conv from its weights', () => {
  const builder = new GraphBuilder();
  const image = builder.addInput('x', [1, 1, 8, 8]);
  const weights = builder.addConstant('w', new Float32Array(15), [1, 1, 3, 5]);
  const spec = { op: 'Conv', inputs: [image, weights], attributes: { auto_pad: 'SAME_UPPER' } };
  const output = builder.addNode(0, spec, { dtype: 'float32', shape: [1, 1, 8, 8] });
  assert.deepEqual(intsAttribute(explicit(builder.build('conv', [output])), 'pads'), [1, 2, 1, 2]);
});

test('makeGeometryExplicit() pads SAME to as many rows as strides, one more at the end or at the begin', () => {
  const windows = fc.record({
    rows: fc.integer({ min: 1, max: 40 }),
    kernel: fc.integer({ min: 1, max: 7 }),
    stride: fc.integer({ min: 1, max: 4 }),
    dilation: fc.integer({ min: 1, max: 3 }),
  });
  fc.assert(
    fc.property(windows, fc.boolean(), ({ rows, kernel, stride, dilation }, isUpper) => {
      const attributes = {
        auto_pad: isUpper ? 'SAME_UPPER' : 'SAME_LOWER',
        kernel_shape: [kernel, 1],
        strides: [stride, 1],
        dilations: [dilation, 1],
      };
      const node = explicit(mapNode({ op: 'MaxPool', attributes }, [1, 1, rows, 1]));
      const [padBegin = -1, left, padEnd = -1, right] = intsAttribute(node, 'pads') ?? [];
      const window = { kernel, stride, dilation, padBegin, padEnd };
      const extra = isUpper ? padEnd - padBegin : padBegin - padEnd;
      assert.deepEqual([left, right], [0, 0]);
      assert.ok(extra === 0 || extra === 1, `pads ${padBegin} and ${padEnd}`);
      if (padBegin + padEnd > 0) assert.equal(windowRowsOut(rows, window), Math.ceil(rows / stride));
      else assert.ok((Math.ceil(rows / stride) - 1) * stride + (kernel - 1) * dilation < rows);
    }),
  );
});

test('makeGeometryExplicit() leaves explicit pads and other operators alone', () => {
  const graph = graphOf('3x8x8: c4k3p1.0.0.1 m2s2 u2 r');
  assert.deepEqual(makeGeometryExplicit(graph).nodes, graph.nodes);
  const unset = mapNode({ op: 'MaxPool', attributes: { auto_pad: 'NOTSET', kernel_shape: [2, 2] } }, MAP);
  assert.deepEqual(explicit(unset).attributes, unset.nodes[0]?.attributes);
});

test('makeGeometryExplicit() names the tensor when auto_pad meets an unknown shape', () => {
  const graph = mapNode(
    { op: 'MaxPool', attributes: { auto_pad: 'SAME_UPPER', kernel_shape: [3, 3] } },
    [1, 3, -1, 8],
  );
  assert.throws(() => makeGeometryExplicit(graph), { name: 'RangeError', message: /tensor "x"/ });
});

test('makeGeometryExplicit() lets the bounds of a Slice count from the ends that they stay near to', () => {
  const end = 2 ** 31 - 1;
  const cases = [
    // Axes, starts, ends and steps, and the starts and ends that are the same on any map.
    [
      [2, 3],
      [0, 1],
      [20, 9999],
      [2, 2],
      [0, 1],
      [end, end],
    ],
    [
      [-2, -1],
      [-18, 2],
      [16, -3],
      [1, 1],
      [2, 2],
      [-4, -3],
    ],
    [
      [1, 2],
      [1, 0],
      [3, 19],
      [1, 3],
      [1, 0],
      [end, -1],
    ],
  ] as const;
  for (const [axes, starts, ends, steps, startsOut, endsOut] of cases) {
    const graph = makeGeometryExplicit(sliced({ axes, starts, ends, steps }));
    const inputs = graph.nodes[0]?.inputs ?? [];
    const found = [1, 2].map((at) => constantNumbers(graph, inputs[at]));
    assert.deepEqual(found, [startsOut, endsOut]);
  }
  const backwards = sliced({ axes: [2], starts: [-1], ends: [-end], steps: [-1] });
  assert.deepEqual(makeGeometryExplicit(backwards).nodes, backwards.nodes);
});

test('makeGeometryExplicit() gives a transposed convolution the pads that its size asks for', async () => {
  const cases = [
    [{ output_shape: [40, 40] }, [40, 40], [1, 1, 1, 1]],
    [{ output_shape: [41, 41] }, [41, 41], [1, 1, 0, 0]],
    [{ auto_pad: 'SAME_UPPER', output_shape: [41, 41] }, [41, 41], [0, 0, 1, 1]],
    [{ auto_pad: 'VALID' }, [42, 42], [0, 0, 0, 0]],
  ] as const;
  for (const [attributes, sizes, pads] of cases) {
    const [node] = makeGeometryExplicit(transposed(attributes, sizes)).nodes;
    assert.ok(node);
    assert.deepEqual(intsAttribute(node, 'pads'), pads, JSON.stringify(attributes));
    assert.deepEqual(Object.keys(node.attributes).sort(), ['kernel_shape', 'pads', 'strides']);
  }
  for (const [attributes, sizes] of cases) {
    const graph = transposed(attributes, sizes);
    const image = noise(3 * 20 * 20);
    assert.deepEqual(await run(makeGeometryExplicit(graph), image), await run(graph, image));
  }
  // Larger than what its input adds to.
  const larger = transposed({ output_shape: [45, 45] }, [45, 45]);
  assert.deepEqual(makeGeometryExplicit(larger).nodes, larger.nodes);
});

test('makeGeometryExplicit() turns sizes of Resize into scales when they are whole factors', () => {
  const graph = makeGeometryExplicit(resizeTo([1, 3, 16, 24], { mode: 'linear' }));
  const [resize] = graph.nodes;
  assert.equal(resize?.inputs.length, 3);
  assert.deepEqual(constantNumbers(graph, resize?.inputs[2]), [1, 1, 2, 3]);
  assert.deepEqual(resize?.attributes, { mode: { kind: 'string', value: 'linear' } });
  assert.equal(graph.tensors.filter(({ constant }) => constant !== null).length, 1);
});

test('makeGeometryExplicit() keeps sizes of Resize that are no whole factors of its axes', () => {
  const cases = [
    resizeTo([1, 3, 12, 16]),
    resizeTo([1, 3, 4, 4]),
    resizeTo([1, 3, 16, 16], { antialias: 1 }),
    resizeTo([1, 3, 16, 16], { axes: [0, 1, 2, 3] }),
    resizeTo([16, 16], { axes: [2, 3] }),
  ];
  for (const graph of cases) assert.deepEqual(makeGeometryExplicit(graph), graph);
});

test('removeIdentities() wires readers of Identity and Dropout to what these read', () => {
  const builder = new GraphBuilder();
  const image = builder.addInput('x', MAP);
  const first = addNode(builder, { op: 'Identity', inputs: [image] });
  const second = addNode(builder, { op: 'Dropout', inputs: [first] });
  const sum = addNode(builder, { op: 'Add', inputs: [second, first] });
  const graph = removeIdentities(builder.build('identities', [sum]));
  assert.deepEqual(readsOf(graph), [['Add', 'x', 'x']]);
  assert.deepEqual(
    graph.tensors.map(({ name }) => name),
    ['x', '0/Add:out'],
  );
});

test('removeIdentities() keeps the names of graph outputs', () => {
  const builder = new GraphBuilder();
  const image = builder.addInput('x', MAP);
  const inner = addNode(builder, { op: 'Identity', inputs: [image] });
  const output = addNode(builder, { op: 'Identity', inputs: [inner] });
  const graph = removeIdentities(builder.build('identities', [output]));
  assert.deepEqual(readsOf(graph), [['Identity', 'x']]);
  assert.equal(tensorAt(graph, graph.outputs[0] ?? -1).name, '0/Identity.1:out');
});

test('removeIdentities() keeps a Dropout whose mask is read and operators of other domains', () => {
  const builder = new GraphBuilder();
  const image = builder.addInput('x', MAP);
  const dropped = addNode(builder, { op: 'Dropout', inputs: [image] });
  const mask = addNode(builder, { op: 'Identity', inputs: [image] });
  const sum = addNode(builder, { op: 'Add', inputs: [dropped, mask] });
  const built = builder.build('mask', [sum]);
  const withMask = (node: Node): Node => ({ ...node, outputs: [...node.outputs, mask] });
  const nodes = built.nodes.flatMap((node) => {
    if (node.op === 'Identity') return [];
    return [node.op === 'Dropout' ? withMask(node) : node];
  });
  assert.deepEqual(removeIdentities({ ...built, nodes }).nodes.length, 2);
  const foreign = built.nodes.map((node) => ({ ...node, domain: 'com.example' }));
  assert.deepEqual(removeIdentities({ ...built, nodes: foreign }).nodes.length, 3);
});

test('removeIdentities() passes constants on', () => {
  const builder = new GraphBuilder();
  const image = builder.addInput('x', MAP);
  const constant = builder.addConstant('c', Float32Array.of(2), []);
  const same = addNode(builder, { op: 'Identity', inputs: [constant] });
  const product = addNode(builder, { op: 'Mul', inputs: [image, same] });
  const graph = removeIdentities(builder.build('constant', [product]));
  assert.deepEqual(readsOf(graph), [['Mul', 'x', 'c']]);
});

const MAP = [1, 3, 8, 8];

function addNode(builder: GraphBuilder, spec: NodeSpec): number {
  return builder.addNode(0, spec, { dtype: 'float32', shape: MAP });
}

/** A graph of one node that reads one map `x`. */
function mapNode(spec: Omit<NodeSpec, 'inputs'>, shape: readonly number[]): Graph {
  const builder = new GraphBuilder();
  const inputs = [builder.addInput('x', shape)];
  return builder.build('one node', [addNode(builder, { ...spec, inputs })]);
}

function resizeTo(sizes: readonly number[], attributes: NonNullable<NodeSpec['attributes']> = {}): Graph {
  const builder = new GraphBuilder();
  const image = builder.addInput('x', MAP);
  const values = BigInt64Array.from(sizes.map(BigInt));
  const inputs = [image, -1, -1, builder.addConstant('sizes', values, [sizes.length])];
  return builder.build('resize', [addNode(builder, { op: 'Resize', inputs, attributes })]);
}

/** Slices a map of 20 x 20. */
function sliced(bounds: Readonly<Record<'axes' | 'starts' | 'ends' | 'steps', readonly number[]>>): Graph {
  const builder = new GraphBuilder();
  const image = builder.addInput('x', [1, 3, 20, 20]);
  const { starts, ends, axes, steps } = bounds;
  const constants = [starts, ends, axes, steps].map((values) =>
    builder.addConstant('bounds', BigInt64Array.from(values.map(BigInt)), [values.length]),
  );
  const inputs = [image, ...constants];
  return builder.build('slice', [addNode(builder, { op: 'Slice', inputs })]);
}

/** A transposed convolution of 4 x 4 and stride 2 over a map of 20 x 20. */
function transposed(
  attributes: Readonly<Record<string, string | readonly number[]>>,
  sizes: readonly number[],
): Graph {
  const builder = new GraphBuilder();
  const image = builder.addInput('image', [1, 3, 20, 20]);
  const weights = builder.addConstant('w', noise(3 * 2 * 16), [3, 2, 4, 4]);
  const given = { ...attributes, kernel_shape: [4, 4], strides: [2, 2] };
  const spec = { op: 'ConvTranspose', inputs: [image, weights], attributes: given };
  const output = builder.addNode(0, spec, { dtype: 'float32', shape: [1, 2, ...sizes] });
  return builder.build('transposed', [output]);
}

function explicit(graph: Graph): Node {
  const [node] = makeGeometryExplicit(graph).nodes;
  assert.ok(node);
  return node;
}

/** Operators with the names of their inputs. */
function readsOf(graph: Graph): readonly (readonly string[])[] {
  return graph.nodes.map(({ op, inputs }) => [op, ...inputs.map((index) => tensorAt(graph, index).name)]);
}
