import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Graph, NodeSpec, TensorValue } from '../../shared/graph/index.js';
import {
  applyFolded,
  constantNumbers,
  foldShapes,
  GraphBuilder,
  selectFoldable,
  tensorAt,
} from '../../shared/graph/index.js';
import { parseOnnx, writeOnnx } from '../../shared/onnx/index.js';

test('foldShapes() replaces Shape and Size by constants', () => {
  const cases = [
    [{ op: 'Shape' }, [1, 3, 8, 9], [4]],
    [{ op: 'Shape', attributes: { start: 2 } }, [8, 9], [2]],
    [{ op: 'Shape', attributes: { start: 1, end: 3 } }, [3, 8], [2]],
    [{ op: 'Shape', attributes: { start: -2, end: -1 } }, [8], [1]],
    [{ op: 'Shape', attributes: { start: -9, end: 9 } }, [1, 3, 8, 9], [4]],
    [{ op: 'Size' }, [216], []],
  ] as const;
  for (const [spec, values, shape] of cases) {
    const graph = foldShapes(shapeRead(spec, [1, 3, 8, 9]));
    const folded = graph.tensors.findIndex(({ name }) => name === `0/${spec.op}:out`);
    assert.deepEqual(opsOf(graph), ['Cast']);
    assert.deepEqual(constantNumbers(graph, folded), values);
    assert.deepEqual([tensorAt(graph, folded).dtype, tensorAt(graph, folded).shape], ['int64', shape]);
  }
});

test('foldShapes() keeps Shape of tensors whose shape is not wholly known', () => {
  for (const shape of [[1, 3, -1, 9], null]) {
    const known = shapeRead({ op: 'Shape' }, shape ?? []);
    const tensors = known.tensors.map((tensor) => (tensor.name === 'x' ? { ...tensor, shape } : tensor));
    const graph = { ...known, tensors };
    assert.deepEqual(foldShapes(graph), graph);
  }
});

test('foldShapes() keeps Shape that is a graph output', () => {
  const builder = new GraphBuilder();
  const shape = addNode(builder, { op: 'Shape', inputs: [builder.addInput('x', [1, 3])] });
  assert.deepEqual(opsOf(foldShapes(builder.build('shape', [shape]))), ['Shape']);
});

test('selectFoldable() takes what depends on constants alone', () => {
  const graph = scaledInput();
  const foldable = selectFoldable(graph);
  assert.ok(foldable);
  assert.deepEqual(opsOf(foldable), ['Neg', 'Add']);
  assert.deepEqual(foldable.inputs, []);
  assert.deepEqual(outputNames(foldable), ['0/Add:out']);
});

test('selectFoldable() gives graph outputs and every value that the rest reads', () => {
  const builder = new GraphBuilder();
  const image = builder.addInput('x', [2]);
  const constant = builder.addConstant('c', Float32Array.of(1, 2), [2]);
  const first = addNode(builder, { op: 'Neg', inputs: [constant] });
  const second = addNode(builder, { op: 'Abs', inputs: [first] });
  const sum = addNode(builder, { op: 'Add', inputs: [image, first] });
  const foldable = selectFoldable(builder.build('two', [sum, second]));
  assert.ok(foldable);
  assert.deepEqual(new Set(outputNames(foldable)), new Set(['0/Neg:out', '0/Abs:out']));
});

test('selectFoldable() gives null when everything depends on an input', () => {
  const builder = new GraphBuilder();
  const image = builder.addInput('x', [2]);
  const constant = builder.addConstant('c', Float32Array.of(1, 2), [2]);
  const sum = addNode(builder, { op: 'Add', inputs: [image, constant] });
  assert.equal(selectFoldable(builder.build('input', [sum])), null);
});

test('selectFoldable() keeps random values and what makes weights larger', () => {
  for (const op of [
    'RandomNormalLike',
    'Bernoulli',
    'DequantizeLinear',
    'ConstantOfShape',
    'Expand',
    'Tile',
  ]) {
    const builder = new GraphBuilder();
    const constant = builder.addConstant('c', Float32Array.of(1, 2), [2]);
    const kept = addNode(builder, { op, inputs: [constant] });
    const after = addNode(builder, { op: 'Neg', inputs: [kept] });
    assert.equal(selectFoldable(builder.build(op, [after])), null, op);
  }
});

test('applyFolded() puts values in the place of the nodes that computed them', () => {
  const graph = applyFolded(scaledInput(), new Map([['0/Add:out', floatValue(3, 4)]]));
  assert.deepEqual(opsOf(graph), ['Mul']);
  assert.deepEqual(constantNumbers(graph, graph.nodes[0]?.inputs[1]), [3, 4]);
  assert.deepEqual(
    graph.tensors.map(({ name }) => name),
    ['x', '0/Add:out', '0/Mul:out'],
  );
});

test('applyFolded() leaves a graph that nothing more can be folded of', () => {
  const graph = scaledInput();
  const foldable = selectFoldable(graph);
  const values = outputNames(foldable ?? graph).map((name) => [name, floatValue(0, 0)] as const);
  const folded = applyFolded(graph, new Map(values));
  assert.equal(selectFoldable(folded), null);
  assert.deepEqual(opsOf(parseOnnx(writeOnnx(folded))), ['Mul']);
});

test('applyFolded() keeps a graph without values as it is', () => {
  const graph = scaledInput();
  assert.deepEqual(applyFolded(graph, new Map()), graph);
});

/** x * (c + -c) */
function scaledInput(): Graph {
  const builder = new GraphBuilder();
  const image = builder.addInput('x', [2]);
  const constant = builder.addConstant('c', Float32Array.of(1, 2), [2]);
  const negative = addNode(builder, { op: 'Neg', inputs: [constant] });
  const sum = addNode(builder, { op: 'Add', inputs: [constant, negative] });
  return builder.build('scaled', [addNode(builder, { op: 'Mul', inputs: [image, sum] })]);
}

/** A graph whose one node gives a fact about the input `x`, which a Cast reads. */
function shapeRead(spec: Omit<NodeSpec, 'inputs'>, shape: readonly number[]): Graph {
  const builder = new GraphBuilder();
  const read = addNode(builder, { ...spec, inputs: [builder.addInput('x', shape)] });
  return builder.build('shape', [addNode(builder, { op: 'Cast', inputs: [read] })]);
}

function addNode(builder: GraphBuilder, spec: NodeSpec): number {
  return builder.addNode(0, spec, { dtype: 'float32', shape: [2] });
}

function floatValue(...values: readonly number[]): TensorValue {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return { dtype: 'float32', shape: [values.length], bytes };
}

function opsOf(graph: Graph): readonly string[] {
  return graph.nodes.map(({ op }) => op);
}

function outputNames(graph: Graph): readonly string[] {
  return graph.outputs.map((index) => tensorAt(graph, index).name);
}
