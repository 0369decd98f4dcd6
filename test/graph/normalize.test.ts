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

function explicit(graph: Graph): Node {
  const [node] = makeGeometryExplicit(graph).nodes;
  assert.ok(node);
  return node;
}

/** Operators with the names of their inputs. */
function readsOf(graph: Graph): readonly (readonly string[])[] {
  return graph.nodes.map(({ op, inputs }) => [op, ...inputs.map((index) => tensorAt(graph, index).name)]);
}
