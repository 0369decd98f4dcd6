import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { POINTWISE } from '../../shared/graph/axis-rule.js';
import type { AxisRule, NodeSpec, SpatialRule, Tensor } from '../../shared/graph/index.js';
import { GraphBuilder, localityOf } from '../../shared/graph/index.js';

const MAP = [1, 4, 8, 8];
const SAME: SpatialRule = { rows: POINTWISE, cols: POINTWISE };

test('localityOf() calls operators of one pixel local', () => {
  const ops = [
    'Relu',
    'LeakyRelu',
    'Sigmoid',
    'Tanh',
    'HardSwish',
    'Softplus',
    'Erf',
    'Cast',
    'Identity',
    'LRN',
  ];
  for (const op of ops) assertLocal({ op, inputs: [map()] }, [SAME]);
  assertLocal({ op: 'Clip', inputs: [map(), floats([], 0), floats([], 6)] }, [SAME, null, null]);
  assertLocal({ op: 'Clip', inputs: [map(), ABSENT, floats([], 6)] }, [SAME, null, null]);
  const channels = floats([4], 1, 1, 1, 1);
  const norm = { op: 'BatchNormalization', inputs: [map(), channels, channels, channels, channels] };
  assertLocal(norm, [SAME, null, null, null, null]);
});

test('localityOf() gives convolutions and pools the window of each axis', () => {
  const window = { strides: [2, 1], dilations: [1, 3], pads: [0, 2, 1, 2] };
  const rule = {
    rows: { up: 1, stride: 2, pad: 0, extent: 3, mirror: 0 },
    cols: { up: 1, stride: 1, pad: 2, extent: 13, mirror: 0 },
  };
  const weights = zeros([4, 4, 3, 5]);
  assertLocal({ op: 'Conv', inputs: [map(), weights, zeros([4])], attributes: window }, [rule, null, null]);
  for (const op of ['MaxPool', 'AveragePool', 'LpPool']) {
    assertLocal({ op, inputs: [map()], attributes: { ...window, kernel_shape: [3, 5] } }, [rule]);
  }
});

test('localityOf() gives windows without attributes stride 1 and no pads', () => {
  const rule = { ...POINTWISE, extent: 3 };
  assertLocal({ op: 'Conv', inputs: [map(), zeros([4, 4, 3, 3])] }, [{ rows: rule, cols: rule }, null]);
});

test('localityOf() calls an elementwise operand a map or without space', () => {
  const cases = [
    [map(), [SAME, SAME]],
    [map([1, 1, 8, 8]), [SAME, SAME]],
    [map([1, 4, 1, 1]), [SAME, null]],
    [zeros([1, 4, 1, 1]), [SAME, null]],
    [zeros([4, 1, 1]), [SAME, null]],
    [zeros([]), [SAME, null]],
    [zeros([1]), [SAME, null]],
  ] as const;
  for (const op of ['Add', 'Sub', 'Mul', 'Div', 'Min', 'Max', 'Pow', 'PRelu']) {
    for (const [operand, rules] of cases) assertLocal({ op, inputs: [map(), operand] }, rules);
  }
  assertLocal({ op: 'Mul', inputs: [map([1, 4, 1, 1]), map()] }, [null, SAME]);
  assertLocal({ op: 'Sum', inputs: [map(), map(), map([1, 4, 1, 1])] }, [SAME, SAME, null]);
});

test('localityOf() calls elementwise operands barriers when they vary along one axis or are constant maps', () => {
  const cases = [
    [map([1, 4, 8, 1]), /"x1" is broadcast along one axis/],
    [map([1, 4, 1, 8]), /"x1" is broadcast along one axis/],
    [zeros([8]), /"c1" is broadcast along one axis/],
    [zeros([1, 4, 8, 8]), /constant "c1" varies over height or width/],
    [zeros([8, 8]), /operand "c1" of rank 2, expected 4/],
    [{ ...map(), shape: null }, /"x1" of unknown shape/],
  ] as const;
  for (const [operand, reason] of cases) assertBarrier({ op: 'Add', inputs: [map(), operand] }, reason);
});

test('localityOf() calls operators over more than one image barriers', () => {
  assertBarrier({ op: 'Relu', inputs: [map([2, 4, 8, 8])] }, /Relu of batch 2, expected 1/);
});

test('localityOf() calls Concat, Split and Slice local along channels only', () => {
  for (const axis of [1, -3]) {
    assertLocal({ op: 'Concat', inputs: [map(), map()], attributes: { axis } }, [SAME, SAME]);
    assertLocal({ op: 'Split', inputs: [map()], attributes: { axis } }, [SAME]);
    const bounds = [integers(0), integers(2), integers(axis), integers(1)];
    assertLocal({ op: 'Slice', inputs: [map(), ...bounds] }, [SAME, null, null, null, null]);
    assertLocal({ op: 'Slice', inputs: [map()], attributes: { starts: [0], ends: [2], axes: [axis] } }, [
      SAME,
    ]);
  }
  for (const axis of [0, 2, 3, -1]) {
    assertBarrier({ op: 'Concat', inputs: [map(), map()], attributes: { axis } }, /^Concat along an axis/);
    assertBarrier({ op: 'Split', inputs: [map()], attributes: { axis } }, /^Split along an axis/);
  }
  assertBarrier({ op: 'Split', inputs: [map()] }, /^Split along an axis/);
  assertBarrier({ op: 'Concat', inputs: [map(), zeros(MAP)], attributes: { axis: 1 } }, /constant map "c1"/);
});

test('localityOf() calls a Slice along rows and columns local where its bounds mean the same in a tile', () => {
  const slice = (start: number, end: number, ...rest: readonly Operand[]): Case => ({
    op: 'Slice',
    inputs: [map(), integers(0, start), integers(2, end), ...rest],
  });
  const axes = integers(1, 2);
  const rule = (stride: number, pad: number) => ({
    rows: { ...POINTWISE, stride, pad },
    cols: POINTWISE,
  });
  const end = 2 ** 31 - 1;
  assertLocal(slice(3, end, axes), [rule(1, -3), null, null, null]);
  assertLocal(slice(1, -2, axes, integers(1, 2)), [rule(2, -1), null, null, null, null]);
  assertBarrier(slice(0, 5, axes), /counts? from the other end/);
  assertBarrier(slice(-3, end, axes), /counts? from the other end/);
  assertBarrier(slice(end, 0, axes, integers(1, -1)), /counts? from the other end/);
  assertBarrier(slice(0, end), /^Slice along the batch$/);
  assertBarrier({ op: 'Slice', inputs: [map(), map([1]), integers(1)] }, /^after a shape that depends/);
});

test('localityOf() gives a transposed convolution the rows that add to its output', () => {
  const rows = (kernel: number, stride: number, pad: number, dilation = 1) => {
    const attributes = {
      strides: [stride, 1],
      pads: [pad, 0, pad, 0],
      dilations: [dilation, 1],
    };
    const weights = zeros([4, 4, kernel, 1]);
    const locality = localityIn({ op: 'ConvTranspose', inputs: [map(), weights], attributes });
    return locality.kind === 'local' ? locality.inputs[0]?.rows : locality;
  };
  // Kernel as large as the stride: no overlap.
  assert.deepEqual(rows(2, 2, 0), { ...POINTWISE, up: 2 });
  assert.deepEqual(rows(4, 2, 1), { ...POINTWISE, up: 2, pad: 1, extent: 3 });
  fc.assert(
    fc.property(fc.nat(6), fc.nat(4), fc.nat(3), fc.nat(2), (taps, steps, pad, spread) => {
      const [kernel, stride, dilation] = [taps + 1, steps + 1, spread + 1];
      const rule = rows(kernel, stride, pad, dilation);
      assert.ok(rule && 'extent' in rule);
      for (let made = 0; made < 4 * stride; made += 1) {
        const first = Math.floor(made / stride) - rule.pad;
        for (let tap = 0; tap < kernel; tap += 1) {
          const read = (made + pad - tap * dilation) / stride;
          if (!Number.isInteger(read)) continue;
          assert.ok(read >= first && read < first + rule.extent, `row ${made} reads ${read}`);
        }
      }
    }),
  );
});

test('localityOf() calls a transposed convolution to a given size a barrier', () => {
  for (const attributes of [{ output_shape: [16, 16] }, { auto_pad: 'SAME_UPPER' }]) {
    const node = { op: 'ConvTranspose', inputs: [map(), zeros([4, 4, 2, 2])], attributes };
    assertBarrier(node, /^ConvTranspose to a given size$/);
  }
});

test('localityOf() calls Softmax local over channels from opset 13', () => {
  for (const op of ['Softmax', 'LogSoftmax']) {
    assertLocal({ op, inputs: [map()], attributes: { axis: 1 } }, [SAME]);
    assertBarrier({ op, inputs: [map()], attributes: { axis: 1 }, opset: 12 }, /over more than channels/);
    assertBarrier({ op, inputs: [map()] }, /over more than channels/);
  }
});

test('localityOf() gives SpaceToDepth and DepthToSpace the block as stride and as growth', () => {
  const blocks: AxisRule = { up: 1, stride: 2, pad: 0, extent: 2, mirror: 0 };
  const grown: AxisRule = { ...POINTWISE, up: 2 };
  const attributes = { blocksize: 2 };
  assertLocal({ op: 'SpaceToDepth', inputs: [map()], attributes }, [{ rows: blocks, cols: blocks }]);
  assertLocal({ op: 'DepthToSpace', inputs: [map()], attributes }, [{ rows: grown, cols: grown }]);
});

test('localityOf() says which border rows a Pad depends on', () => {
  const pads = integers(0, 0, 1, 2, 0, 0, 3, 0);
  const rule = (mirrorRows: number, mirrorCols: number): SpatialRule => ({
    rows: { ...POINTWISE, pad: 1, mirror: mirrorRows },
    cols: { ...POINTWISE, pad: 2, mirror: mirrorCols },
  });
  const inputs = [map(), pads];
  assertLocal({ op: 'Pad', inputs }, [rule(0, 0), null]);
  assertLocal({ op: 'Pad', inputs, attributes: { mode: 'edge' } }, [rule(1, 1), null]);
  assertLocal({ op: 'Pad', inputs, attributes: { mode: 'reflect' } }, [rule(4, 3), null]);
  assertLocal({ op: 'Pad', inputs: [map()], attributes: { pads: [0, 0, 1, 2, 0, 0, 3, 0] } }, [rule(0, 0)]);
  assertBarrier({ op: 'Pad', inputs, attributes: { mode: 'wrap' } }, /^Pad of computed size/);
  assertBarrier({ op: 'Pad', inputs: [map(), map([8])] }, /^after a shape that depends/);
  assertBarrier({ op: 'Pad', inputs: [map(), integers(1, 1), ABSENT, integers(2)] }, /by axes/);
});

test('localityOf() gives Resize by whole factors exactly the rows that its formula reads', () => {
  const transformations = fc.constantFrom(
    'half_pixel',
    'pytorch_half_pixel',
    'asymmetric',
    'half_pixel_symmetric',
  );
  const modes = fc.oneof(
    fc.record({
      mode: fc.constant('nearest'),
      factor: fc.integer({ min: 2, max: 7 }),
      nearest_mode: fc.constantFrom('floor', 'ceil', 'round_prefer_floor', 'round_prefer_ceil'),
    }),
    fc.record({
      mode: fc.constant('linear'),
      factor: fc.constantFrom(2, 4, 8),
      nearest_mode: fc.constant('floor'),
    }),
  );
  fc.assert(
    fc.property(transformations, modes, (transformation, { factor, ...attributes }) => {
      const resize = { ...attributes, coordinate_transformation_mode: transformation };
      const rule = resizeRows(factor, resize);
      assert.deepEqual([rule.up, rule.stride, rule.mirror], [factor, 1, 0]);
      for (let rowIn = 0; rowIn < 4; rowIn += 1) {
        const rowsOut = Array.from({ length: factor }, (_, phase) => rowIn * factor + phase);
        const read = rowsOut.flatMap((rowOut) => resizeReads(rowOut, { ...resize, factor }));
        const first = rowIn - rule.pad;
        assert.deepEqual([first, first + rule.extent - 1], [Math.min(...read), Math.max(...read)]);
      }
    }),
  );
});

test('localityOf() reads scales of Resize and Upsample where each opset keeps them', () => {
  const twice = { rows: { ...POINTWISE, up: 2 }, cols: { ...POINTWISE, up: 2 } };
  const scales = floats([4], 1, 1, 2, 2);
  const attributes = { mode: 'nearest', scales: [1, 1, 2, 2] };
  assertLocal({ op: 'Resize', inputs: [map(), ABSENT, scales] }, [twice, null, null]);
  assertLocal({ op: 'Resize', inputs: [map(), scales], opset: 10 }, [twice, null]);
  assertLocal({ op: 'Upsample', inputs: [map(), scales], opset: 9 }, [twice, null]);
  assertLocal({ op: 'Upsample', inputs: [map()], attributes, floats: ['scales'], opset: 7 }, [twice]);
});

test('localityOf() calls Resize a barrier when no window describes it', () => {
  const cases = [
    [[1, 1, 1.5, 1.5], {}, /Resize nearest by 1\.5 x 1\.5/],
    [[1, 1, 1 / 3, 1 / 3], {}, /Resize nearest by 0\.33/],
    [[1, 1, 0.75, 0.75], { mode: 'linear' }, /Resize linear by 0\.75/],
    [[1, 1, 3, 3], { mode: 'linear' }, /Resize linear by 3 x 3/],
    [[1, 1, 2, 2], { mode: 'cubic' }, /Resize cubic/],
    [[1, 2, 2, 2], {}, /Resize of computed size/],
    [[2, 2], { axes: [2, 3] }, /Resize of computed size/],
    [[1, 1, 2, 2], { axes: [0, 1, 2, 3] }, /Resize by axes/],
    [[1, 1, 2, 2], { antialias: 1 }, /antialias/],
    [[1, 1, 2, 2], { coordinate_transformation_mode: 'align_corners' }, /Resize with align_corners/],
    [[1, 1, 2, 2], { coordinate_transformation_mode: 'tf_crop_and_resize' }, /tf_crop_and_resize/],
  ] as const;
  for (const [scales, attributes, reason] of cases) {
    const inputs = [map(), ABSENT, floats([scales.length], ...scales)];
    assertBarrier({ op: 'Resize', inputs, attributes }, reason);
  }
  assertBarrier(
    { op: 'Resize', inputs: [map(), ABSENT, ABSENT, integers(1, 4, 16, 16)] },
    /of computed size/,
  );
});

test('localityOf() calls operators of the whole map barriers', () => {
  for (const op of ['GlobalAveragePool', 'Flatten', 'Reshape', 'MatMul', 'Transpose', 'ReduceMean']) {
    assertBarrier({ op, inputs: [map()] }, new RegExp(`^${op} isn't spatially local$`));
  }
  assertBarrier({ op: 'If', inputs: [map()] }, /^after a shape that depends/);
});

test('localityOf() says why a local operator is a barrier', () => {
  const kernel = { kernel_shape: [2, 2] };
  const cases: readonly [Case, RegExp][] = [
    [{ op: 'Relu', inputs: [map()], domain: 'com.example' }, /operator of domain "com\.example"/],
    [{ op: 'Relu', inputs: [map([1, 4, 8])] }, /Relu of rank 3, expected 4/],
    [{ op: 'Relu', inputs: [{ ...map(), shape: null }] }, /Relu of rank unknown, expected 4/],
    [{ op: 'Relu', inputs: [map()], output: [4, 8, 8] }, /Relu of rank 3, expected 4/],
    [{ op: 'Conv', inputs: [map(), map([4, 4, 3, 3])] }, /Conv with computed operand "x1"/],
    [{ op: 'Clip', inputs: [map(), map([])] }, /Clip with computed operand "x1"/],
    [{ op: 'MaxPool', inputs: [map()] }, /MaxPool without kernel_shape/],
    [{ op: 'MaxPool', inputs: [map()], attributes: kernel, outputs: 2 }, /MaxPool with indices/],
    [
      { op: 'BatchNormalization', inputs: [map(), zeros([4])], attributes: { training_mode: 1 } },
      /in training mode/,
    ],
  ];
  for (const [node, reason] of cases) assertBarrier(node, reason);
});

type Operand =
  | { readonly kind: 'map'; readonly shape: readonly number[] | null }
  | {
      readonly kind: 'constant';
      readonly shape: readonly number[];
      readonly values: Float32Array | BigInt64Array;
    }
  | { readonly kind: 'absent' };

interface Case {
  readonly op: string;
  readonly inputs: readonly Operand[];
  readonly attributes?: NonNullable<NodeSpec['attributes']>;
  readonly floats?: readonly string[];
  readonly domain?: string;
  readonly opset?: number;
  readonly output?: readonly number[];
  readonly outputs?: number;
}

const ABSENT: Operand = { kind: 'absent' };

function map(shape: readonly number[] = MAP): Extract<Operand, { kind: 'map' }> {
  return { kind: 'map', shape };
}

function floats(shape: readonly number[], ...values: readonly number[]): Operand {
  return { kind: 'constant', shape, values: Float32Array.from(values) };
}

function zeros(shape: readonly number[]): Operand {
  return floats(shape, ...Array.from({ length: shape.reduce((product, dim) => product * dim, 1) }, () => 0));
}

function integers(...values: readonly number[]): Operand {
  return { kind: 'constant', shape: [values.length], values: BigInt64Array.from(values.map(BigInt)) };
}

/** A node whose operands are named by position: computed ones x0, x1, ..., constants c0, c1, ... */
function localityIn({ op, inputs, attributes = {}, floats = [], domain = '', ...rest }: Case) {
  const builder = new GraphBuilder();
  const indices = inputs.map((operand, at) => {
    if (operand.kind === 'absent') return -1;
    return operand.kind === 'map'
      ? builder.addInput(`x${at}`, operand.shape ?? [])
      : builder.addConstant(`c${at}`, operand.values, operand.shape);
  });
  const output = builder.addNode(
    0,
    { op, inputs: indices, attributes, floats },
    { dtype: 'float32', shape: rest.output ?? MAP },
  );
  const built = builder.build('one node', [output]);
  const unknown = new Set(inputs.flatMap((operand, at) => (hasShape(operand) ? [] : [`x${at}`])));
  const tensors = built.tensors.map(
    (tensor): Tensor => (unknown.has(tensor.name) ? { ...tensor, shape: null } : tensor),
  );
  const outputs = Array.from({ length: rest.outputs ?? 1 }, () => output);
  const nodes = built.nodes.map((node) => ({ ...node, domain, outputs }));
  const graph = { ...built, tensors, nodes, opsets: { '': rest.opset ?? 18 } };
  const [node] = nodes;
  assert.ok(node);
  return localityOf(graph, node);
}

function hasShape(operand: Operand): boolean {
  return operand.kind !== 'map' || operand.shape !== null;
}

function assertLocal(node: Case, inputs: readonly (SpatialRule | null)[]): void {
  const locality = localityIn(node);
  const found = locality.kind === 'local' ? locality.inputs.map(withoutMinusZero) : locality;
  assert.deepEqual(found, inputs, describe(node));
}

/** Replaces -0 by 0, since deepEqual() distinguishes them. */
function withoutMinusZero(rule: SpatialRule | null): SpatialRule | null {
  const positive = (axis: AxisRule): AxisRule => ({ ...axis, pad: axis.pad + 0 });
  return rule === null ? null : { rows: positive(rule.rows), cols: positive(rule.cols) };
}

function assertBarrier(node: Case, reason: RegExp): void {
  const locality = localityIn(node);
  assert.equal(locality.kind, 'barrier', describe(node));
  assert.match(locality.kind === 'barrier' ? locality.reason : '', reason);
}

function describe({ op, inputs, attributes }: Case): string {
  const shapes = inputs.map((operand) => (operand.kind === 'absent' ? '-' : `[${operand.shape?.join()}]`));
  return `${op}(${shapes.join(', ')}) ${JSON.stringify(attributes ?? {})}`;
}

/** Rule of the rows for a Resize that changes the rows alone. */
function resizeRows(factor: number, attributes: Record<string, string>): AxisRule {
  const scales = floats([4], 1, 1, factor, 1);
  const locality = localityIn({ op: 'Resize', inputs: [map(), ABSENT, scales], attributes });
  const rule = locality.kind === 'local' ? locality.inputs[0] : undefined;
  assert.ok(rule, JSON.stringify(locality));
  return rule.rows;
}

interface ResizeFormula {
  readonly factor: number;
  readonly mode: string;
  readonly nearest_mode: string;
  readonly coordinate_transformation_mode: string;
}

/** Input rows of an output row before they are clamped to the map. Source: onnx/docs/Operators.md. */
function resizeReads(rowOut: number, resize: ResizeFormula): readonly number[] {
  const isAsymmetric = resize.coordinate_transformation_mode === 'asymmetric';
  const row = isAsymmetric ? rowOut / resize.factor : (rowOut + 0.5) / resize.factor - 0.5;
  if (resize.mode === 'linear') return [Math.floor(row), Math.floor(row) + 1];
  const below = Math.floor(row);
  const isHalf = row - below === 0.5;
  const nearest = row - below < 0.5 ? below : below + 1;
  switch (resize.nearest_mode) {
    case 'floor':
      return [below];
    case 'ceil':
      return [below === row ? below : below + 1];
    case 'round_prefer_floor':
      return [isHalf ? below : nearest];
    default:
      return [isHalf ? below + 1 : nearest];
  }
}
