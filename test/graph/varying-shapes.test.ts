import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Graph, NodeSpec } from '../../shared/graph/index.js';
import {
  foldShapes,
  GraphBuilder,
  localityOf,
  moveVaryingLast,
  tensorAt,
  varyingFrom,
  varyingTensors,
} from '../../shared/graph/index.js';
import { buildPlan } from '../../shared/search/index.js';

test('varyingTensors() finds shapes that depend on values, and what is computed from them', () => {
  const graph = boxesKept();
  assert.deepEqual(namesOf(graph, [...varyingTensors(graph)]), [
    '1/NonZero:out',
    '2/Gather:out',
    '4/TopK:out',
  ]);
  assert.equal(varyingFrom(graph), 1);
});

test('varyingTensors() finds no shape that only other shapes decide', () => {
  const graph = build((builder, image) => {
    const shape = add(builder, { op: 'Shape', inputs: [image] });
    const scalar = add(builder, { op: 'Gather', inputs: [shape, integers(builder, 2)] });
    const range = add(builder, { op: 'Range', inputs: [integers(builder, 0), scalar, integers(builder, 1)] });
    const grid = add(builder, { op: 'Expand', inputs: [range, shape] });
    const isLarge = add(builder, { op: 'Greater', inputs: [scalar, integers(builder, 9)] });
    const chosen = add(builder, { op: 'If', inputs: [isLarge] });
    const taken = add(builder, { op: 'Compress', inputs: [image, integers(builder, 1)] });
    return add(builder, { op: 'Sum', inputs: [grid, chosen, taken, image] });
  });
  assert.equal(varyingTensors(graph).size, 0);
  assert.equal(varyingFrom(graph), graph.nodes.length);
});

test('varyingTensors() finds sizes that are read off the image, whichever operand says them', () => {
  const cases = [
    ['Reshape', 1],
    ['Slice', 2],
    ['TopK', 1],
    ['Pad', 1],
    ['Resize', 3],
    ['ConstantOfShape', 0],
    ['Range', 1],
    ['If', 0],
    ['Compress', 1],
    ['Loop', 2],
  ] as const;
  for (const [op, at] of cases) {
    const graph = build((builder, image) => {
      const count = add(builder, { op: 'ReduceSum', inputs: [image] });
      const inputs = Array.from({ length: at + 1 }, (_, index) =>
        index === at ? count : integers(builder, 1),
      );
      return add(builder, { op, inputs });
    });
    assert.equal(varyingTensors(graph).size, 1, op);
  }
});

test('foldShapes() keeps shapes that depend on the image', () => {
  assert.ok(foldShapes(boxesKept()).nodes.some(({ op }) => op === 'Shape'));
});

test('nothing is cut or tiled after a shape that depends on the image', () => {
  const graph = boxesKept();
  const settings = { level: 'basic', threads: 1, allocator: 'glibc' } as const;
  const whole = { kind: 'whole' } as const;
  assert.ok(buildPlan(graph, { modes: [whole, whole], cuts: [1] }, settings));
  assert.throws(
    () => buildPlan(graph, { modes: [whole, whole], cuts: [2] }, settings),
    /Cannot cut at layer 2: shapes after layer 1 depend on the image, expected at most 1/,
  );
  const [relu, ...later] = graph.nodes.map((node) => localityOf(graph, node));
  assert.equal(relu?.kind, 'local');
  for (const locality of later)
    assert.match(locality.kind === 'barrier' ? locality.reason : '', /depends on/);
});

test('moveVaryingLast() puts what depends on no varying shape first', () => {
  const graph = build((builder, image) => {
    const found = add(builder, { op: 'NonZero', inputs: [image] });
    const relu = add(builder, { op: 'Relu', inputs: [image] });
    const gathered = add(builder, { op: 'Gather', inputs: [relu, found] });
    return add(builder, { op: 'Sum', inputs: [gathered, add(builder, { op: 'Abs', inputs: [relu] })] });
  });
  const moved = moveVaryingLast(graph);
  assert.deepEqual(
    moved.nodes.map(({ op, layer }) => [layer, op]),
    [
      [0, 'Relu'],
      [1, 'Abs'],
      [2, 'NonZero'],
      [3, 'Gather'],
      [4, 'Sum'],
    ],
  );
});

/** Relu, then the places of what isn't zero, and the two largest of as many as there are. */
function boxesKept(): Graph {
  return build((builder, image) => {
    const relu = add(builder, { op: 'Relu', inputs: [image] }, [1, 3, 8, 8]);
    const found = add(builder, { op: 'NonZero', inputs: [relu] }, [4, 5]);
    const gathered = add(builder, { op: 'Gather', inputs: [relu, found] }, [5]);
    const count = add(builder, { op: 'Shape', inputs: [gathered] }, [1]);
    return add(builder, { op: 'TopK', inputs: [gathered, count] }, [5]);
  });
}

function build(body: (builder: GraphBuilder, image: number) => number): Graph {
  const builder = new GraphBuilder();
  return builder.build('net', [body(builder, builder.addInput('image', [1, 3, 8, 8]))]);
}

function add(builder: GraphBuilder, spec: NodeSpec, shape: readonly number[] = [1]): number {
  const layers = builder.build('', []).nodes.length;
  return builder.addNode(layers, spec, { dtype: 'float32', shape });
}

function integers(builder: GraphBuilder, ...values: readonly number[]): number {
  return builder.addConstant('c', BigInt64Array.from(values, BigInt), [values.length]);
}

function namesOf(graph: Graph, tensors: readonly number[]): readonly string[] {
  return tensors.map((index) => tensorAt(graph, index).name);
}
