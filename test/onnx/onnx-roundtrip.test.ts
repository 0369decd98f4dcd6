import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import type { Constant, Graph } from '../../shared/graph/index.js';
import { constantNumbers, externalizeConstants, tensorAt } from '../../shared/graph/index.js';
import { parseOnnx, writeOnnx } from '../../shared/onnx/index.js';
import type {
  AttributeProtoSchema,
  GraphProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
} from '../../shared/onnx/onnx_pb.js';
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType,
} from '../../shared/onnx/onnx_pb.js';
import { OPSET_RANGE } from '../../shared/onnx/parse-onnx.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

test('parseOnnx() reads back what writeOnnx() wrote', () => {
  const notations = [
    '3x8x8: c4k3p1 r m2s2',
    '3x9x11: c4k3s2p1.0.0.1d2 l a3s2p1^+ *',
    '4x8x8: c8k3p1g4 ! s2 d2 &1 z1 f3 t',
    '3x8x8: c4k1 u2 v2 h ! @1 e +1 x1',
  ];
  fc.assert(
    fc.property(
      fc.oneof(fc.constantFrom(...notations), randomGraph({ maxSize: 20, maxWords: 8 }).map(notationOf)),
      (notation) => {
        const graph = graphOf(notation);
        assert.deepEqual(byName(parseOnnx(writeOnnx(graph, { recordShapes: true }))), byName(graph));
      },
    ),
  );
});

test('writeOnnx() gives the same bytes when its own file is read and written', () => {
  const bytes = writeOnnx(graphOf('3x9x9: c4k3p1 r ! m2s2^ e u2'), { recordShapes: true });
  assert.deepEqual(writeOnnx(parseOnnx(bytes), { recordShapes: true }), bytes);
});

test('writeOnnx() says no shapes of computed tensors unless asked', () => {
  const graph = parseOnnx(writeOnnx(graphOf('3x8x8: c4k3p1 r')));
  assert.deepEqual(shapesOf(graph), [[1, 3, 8, 8], null, null]);
});

test('writeOnnx() leaves height and width of inputs open when space is symbolic', () => {
  const graph = parseOnnx(writeOnnx(graphOf('3x8x8: c4k3p1'), { symbolicSpace: true }));
  assert.deepEqual(tensorAt(graph, graph.inputs[0] ?? -1).shape, [1, 3, -1, -1]);
});

test('parseOnnx() numbers layers as the file says, or by position when it says nothing', () => {
  const graph = graphOf('3x8x8: c4k3p1 e');
  assert.deepEqual(
    parseOnnx(writeOnnx(graph)).nodes.map(({ layer }) => layer),
    graph.nodes.map(({ layer }) => layer),
  );
  const foreign = parseOnnx(modelOf({ node: [relu('x', 'a'), relu('a', 'y')] }));
  assert.deepEqual(
    foreign.nodes.map(({ layer }) => layer),
    [0, 1],
  );
});

test('parseOnnx() keeps the places of external constants', () => {
  const { graph, chunks } = externalizeConstants(graphOf('16x8x8: c16k3p1 c16k3p1'), 'weights.bin');
  assert.equal(chunks.length, 2);
  assert.deepEqual(byName(parseOnnx(writeOnnx(graph, { recordShapes: true }))), byName(graph));
});

test('parseOnnx() takes the length of an external constant from its shape where the file says none', () => {
  const graph = parseOnnx(addModel(externalTensor([['location', 'w.bin']])));
  const constant: Constant = { kind: 'external', location: 'w.bin', offset: 0, length: 12 };
  assert.deepEqual(constantOf(graph, 'c'), constant);
});

test('parseOnnx() fails when an external constant is nowhere or of another length', () => {
  const cases = [
    [[], /tensor "c": external data is at ""/],
    [[['location', 'w.bin'] as const, ['offset', '-4'] as const], /offset -4/],
    [[['location', 'w.bin'] as const, ['length', '1e400'] as const], /length 1e400/],
    [[['location', 'w.bin'] as const, ['length', '8'] as const], /tensor "c": it has 8 bytes .* expected 12/],
  ] as const;
  for (const [entries, message] of cases) {
    assert.throws(() => parseOnnx(addModel(externalTensor(entries))), { name: 'SyntaxError', message });
  }
});

test('parseOnnx() reads constants from the typed fields of each element type', () => {
  const { FLOAT, DOUBLE, INT64, INT32, UINT8, BOOL } = TensorProto_DataType;
  const cases: readonly [TensorInit, readonly number[]][] = [
    [{ dataType: FLOAT, floatData: [1.5, -2] }, [1.5, -2]],
    [{ dataType: DOUBLE, doubleData: [0.1, -2] }, [0.1, -2]],
    [{ dataType: INT64, int64Data: [2n ** 40n, -1n] }, [2 ** 40, -1]],
    [{ dataType: INT32, int32Data: [7, -7] }, [7, -7]],
    [{ dataType: UINT8, int32Data: [0, 255] }, [0, 255]],
    [{ dataType: BOOL, int32Data: [1, 0] }, [1, 0]],
  ];
  for (const [tensor, values] of cases) {
    const graph = parseOnnx(addModel(Object.assign({ name: 'c', dims: [2n] }, tensor)));
    assert.deepEqual(constantNumbers(graph, indexOf(graph, 'c')), values);
  }
});

test('parseOnnx() fails when values do not fill the shape', () => {
  const tensor = { name: 'c', dims: [3n], dataType: TensorProto_DataType.FLOAT, floatData: [1, 2] };
  assert.throws(
    () => parseOnnx(addModel(tensor)),
    /tensor "c": it has 8 bytes of values, expected 12 for float32 \[3\]/,
  );
});

test('parseOnnx() names the tensor when it has a type or shape that is not supported', () => {
  const float = TensorProto_DataType.FLOAT;
  const cases = [
    [{ name: 'c', dims: [1n], dataType: TensorProto_DataType.BFLOAT16 }, /tensor "c": element type is 16/],
    [{ name: 'c', dims: [-1n], dataType: float }, /tensor "c": shape is \[-1\]/],
    [
      { name: 'c', dims: [1n], dataType: TensorProto_DataType.STRING },
      /tensor "c": element type is string, expected numbers/,
    ],
  ] as const;
  for (const [{ dims, ...tensor }, message] of cases) {
    assert.throws(() => parseOnnx(addModel({ ...tensor, dims: [...dims] })), {
      name: 'SyntaxError',
      message,
    });
  }
});

test('parseOnnx() fails when the operator set is out of range', () => {
  const { min, max } = OPSET_RANGE;
  const parse = (version: number) => parseOnnx(modelOf({ node: [relu('x', 'y')] }, [['', version]]));
  assert.deepEqual(parse(min).opsets, { '': min });
  assert.deepEqual(parse(max).opsets, { '': max });
  for (const version of [min - 1, max + 1]) {
    assert.throws(() => parse(version), {
      name: 'SyntaxError',
      message: `Cannot parse ONNX model: ai.onnx opset ${version}, expected ${min} to ${max}`,
    });
  }
});

test('parseOnnx() knows ai.onnx by both its names and keeps other domains', () => {
  const parse = (...opsets: readonly (readonly [string, number])[]) =>
    parseOnnx(modelOf({ node: [relu('x', 'y')] }, opsets)).opsets;
  assert.deepEqual(parse(['ai.onnx', 17], ['com.example', 1]), { '': 17, 'com.example': 1 });
  assert.throws(() => parse(['com.example', 1]), /imports no ai\.onnx operator set/);
});

test('parseOnnx() fails when the bytes are no model', () => {
  assert.throws(() => parseOnnx(Uint8Array.of(255, 255, 255)), {
    name: 'SyntaxError',
    message: /not a valid protobuf/,
  });
  assert.throws(() => parseOnnx(new Uint8Array()), /imports no ai\.onnx operator set/);
  assert.throws(() => parseOnnx(modelOf({ node: [] })), /its graph has no nodes, expected at least one/);
});

test('parseOnnx() names node and value when nothing defines an input', () => {
  const node = [{ ...relu('missing', 'y'), name: 'first' }];
  assert.throws(() => parseOnnx(modelOf({ node })), {
    name: 'SyntaxError',
    message: 'Cannot parse ONNX model: inputs of node "first" (Relu) name "missing", which nothing defines',
  });
  assert.throws(
    () => parseOnnx(modelOf({ node: [relu('x', 'z')] })),
    /graph outputs name "y", which nothing defines/,
  );
});

test('parseOnnx() fails when a value is defined more than once', () => {
  const node = [relu('x', 'y'), relu('x', 'y')];
  assert.throws(() => parseOnnx(modelOf({ node })), /value "y" is defined more than once/);
});

test('parseOnnx() keeps an order of nodes that is topological', () => {
  const node = [relu('x', 'b'), relu('x', 'a'), { opType: 'Add', input: ['a', 'b'], output: ['y'] }];
  assert.deepEqual(namesOf(parseOnnx(modelOf({ node }))), ['Relu_0', 'Relu_1', 'Add_2']);
});

test('parseOnnx() sorts nodes that are not in topological order', () => {
  const node = [
    { opType: 'Add', input: ['b', 'a'], output: ['y'] },
    relu('a', 'b'),
    { opType: 'Neg', input: ['x'], output: ['a'] },
  ];
  const graph = parseOnnx(modelOf({ node }));
  assert.deepEqual(namesOf(graph), ['Neg_2', 'Relu_1', 'Add_0']);
  assert.deepEqual(
    graph.nodes.map(({ layer }) => layer),
    [0, 1, 2],
  );
});

test('parseOnnx() sorts whatever order the nodes of a file are in', () => {
  const bytes = writeOnnx(graphOf('3x8x8: c4k3p1 ! r c4k3p1 +1 e m2s2 r &6'));
  const count = parseOnnx(bytes).nodes.length;
  const orders = fc.shuffledSubarray(
    Array.from({ length: count }, (_, at) => at),
    { minLength: count },
  );
  fc.assert(
    fc.property(orders, (order) => {
      const graph = parseOnnx(reordered(bytes, order));
      const known = new Set([
        ...graph.inputs,
        ...graph.tensors.flatMap(({ constant }, at) => (constant ? [at] : [])),
      ]);
      for (const node of graph.nodes) {
        for (const index of node.inputs) assert.ok(index < 0 || known.has(index), node.name);
        for (const index of node.outputs) known.add(index);
      }
      assert.equal(graph.nodes.length, count);
    }),
  );
});

test('parseOnnx() names a node of a cycle', () => {
  const node = [
    { opType: 'Add', input: ['x', 'b'], output: ['a'], name: 'first' },
    relu('a', 'b'),
    relu('b', 'y'),
  ];
  assert.throws(() => parseOnnx(modelOf({ node })), {
    name: 'SyntaxError',
    message: /node "first" depends on its own output/,
  });
});

test('parseOnnx() takes Constant nodes as constants', () => {
  const { FLOAT, FLOATS, INT, INTS, TENSOR } = AttributeType;
  const t: TensorInit = { dims: [1n, 2n], dataType: TensorProto_DataType.FLOAT, floatData: [3, 4] };
  const cases: readonly [AttributeInit, readonly number[], readonly number[], string][] = [
    [{ name: 'value', type: TENSOR, t }, [1, 2], [3, 4], 'float32'],
    [{ name: 'value_int', type: INT, i: -3n }, [], [-3], 'int64'],
    [{ name: 'value_ints', type: INTS, ints: [1n, 2n] }, [2], [1, 2], 'int64'],
    [{ name: 'value_float', type: FLOAT, f: 0.5 }, [], [0.5], 'float32'],
    [{ name: 'value_floats', type: FLOATS, floats: [0.5, 2] }, [2], [0.5, 2], 'float32'],
  ];
  for (const [attribute, shape, values, dtype] of cases) {
    const constant = { opType: 'Constant', output: ['c'], attribute: [attribute] };
    const node = [constant, { opType: 'Add', input: ['x', 'c'], output: ['y'] }];
    const graph = parseOnnx(modelOf({ node }));
    const index = indexOf(graph, 'c');
    assert.deepEqual(opsOf(graph), ['Add'], attribute.name);
    assert.deepEqual([tensorAt(graph, index).shape, tensorAt(graph, index).dtype], [shape, dtype]);
    assert.deepEqual(constantNumbers(graph, index), values);
  }
});

test('parseOnnx() takes initializers that old files list as inputs as constants', () => {
  const tensor = { name: 'c', dims: [1n], dataType: TensorProto_DataType.FLOAT, floatData: [2] };
  const graph = parseOnnx(
    modelOf({
      initializer: [tensor],
      input: [{ name: 'x' }, { name: 'c' }],
      node: [{ opType: 'Add', input: ['x', 'c'], output: ['y'] }],
    }),
  );
  assert.deepEqual(
    graph.inputs.map((index) => tensorAt(graph, index).name),
    ['x'],
  );
  assert.deepEqual(constantNumbers(graph, indexOf(graph, 'c')), [2]);
});

test('parseOnnx() gives absent optional inputs and outputs no tensor', () => {
  const node = [
    { opType: 'Clip', input: ['x', '', 'x'], output: ['a'] },
    { opType: 'Dropout', input: ['a'], output: ['y', ''] },
  ];
  const [clip, dropout] = parseOnnx(modelOf({ node })).nodes;
  assert.equal(clip?.inputs[1], -1);
  assert.equal(dropout?.outputs[1], -1);
});

test('parseOnnx() finds what subgraphs read from the graph around them', () => {
  const branch = (op: string) => ({
    name: op,
    node: [
      { opType: op, input: ['m'], output: [`${op}0`] },
      { opType: 'Relu', input: [`${op}0`], output: [`${op}1`] },
    ],
    output: [{ name: `${op}1` }],
  });
  const attribute = [
    { name: 'then_branch', type: AttributeType.GRAPH, g: branch('Abs') },
    { name: 'else_branch', type: AttributeType.GRAPH, g: branch('Neg') },
  ];
  const node = [{ opType: 'If', input: ['condition'], output: ['y'], attribute }, relu('x', 'm')];
  const bytes = modelOf({ node, input: [{ name: 'x' }, { name: 'condition' }] });
  const graph = parseOnnx(bytes);
  assert.deepEqual(opsOf(graph), ['Relu', 'If']);
  assert.deepEqual(graph.nodes[1]?.captures, [indexOf(graph, 'm')]);
  assert.deepEqual(byName(parseOnnx(writeOnnx(graph))), byName(graph));
});

type GraphInit = MessageInitShape<typeof GraphProtoSchema>;
type TensorInit = MessageInitShape<typeof TensorProtoSchema>;
type AttributeInit = MessageInitShape<typeof AttributeProtoSchema>;
type NodeInit = MessageInitShape<typeof NodeProtoSchema>;

/** A model from x to y. Fields that aren't given have simple values. */
function modelOf(graph: GraphInit, opsets: readonly (readonly [string, number])[] = [['', 17]]): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: opsets.map(([domain, version]) => ({ domain, version: BigInt(version) })),
    graph: { name: 'test', input: [{ name: 'x' }], output: [{ name: 'y' }], ...graph },
  });
  return toBinary(ModelProtoSchema, model);
}

/** y = x + c */
function addModel(tensor: TensorInit): Uint8Array {
  return modelOf({ initializer: [tensor], node: [{ opType: 'Add', input: ['x', 'c'], output: ['y'] }] });
}

function externalTensor(entries: readonly (readonly [string, string])[]): TensorInit {
  return {
    name: 'c',
    dims: [3n],
    dataType: TensorProto_DataType.FLOAT,
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: entries.map(([key, value]) => ({ key, value })),
  };
}

function relu(input: string, output: string): NodeInit {
  return { opType: 'Relu', input: [input], output: [output] };
}

function reordered(bytes: Uint8Array, order: readonly number[]): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  const nodes = model.graph?.node ?? [];
  if (model.graph) model.graph.node = order.map((at) => nodes[at]).filter((node) => node !== undefined);
  return toBinary(ModelProtoSchema, model);
}

function notationOf({ notation }: { notation: string }): string {
  return notation;
}

function indexOf(graph: Graph, name: string): number {
  return graph.tensors.findIndex((tensor) => tensor.name === name);
}

function constantOf(graph: Graph, name: string): Constant | null {
  return tensorAt(graph, indexOf(graph, name)).constant;
}

function opsOf(graph: Graph): readonly string[] {
  return graph.nodes.map(({ op }) => op);
}

function namesOf(graph: Graph): readonly string[] {
  return graph.nodes.map(({ name }) => name);
}

/** Shapes of the computed tensors, in order. */
function shapesOf(graph: Graph): readonly (readonly number[] | null)[] {
  return graph.tensors.filter(({ constant }) => constant === null).map(({ shape }) => shape);
}

/** The graph with edges by name, since a file has another order of tensors. */
function byName(graph: Graph) {
  const names = (indices: readonly number[]) =>
    indices.map((index) => (index < 0 ? '' : tensorAt(graph, index).name));
  return {
    ...graph,
    tensors: Object.fromEntries(graph.tensors.map((tensor) => [tensor.name, plain(tensor)])),
    nodes: graph.nodes.map((node) => ({
      ...node,
      inputs: names(node.inputs),
      outputs: names(node.outputs),
      captures: names(node.captures),
    })),
    inputs: names(graph.inputs),
    outputs: names(graph.outputs),
  };
}

/** Bytes as a list, since the compared views are of different buffers. */
function plain(tensor: Graph['tensors'][number]) {
  const { constant } = tensor;
  return { ...tensor, constant: constant?.kind === 'inline' ? [...constant.bytes] : constant };
}
