import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataType, NodeSpec } from '../../shared/graph/index.js';
import { GraphBuilder } from '../../shared/graph/index.js';
import { streamRuleOf } from '../../shared/tile/index.js';

const ROWS = 8;

test('streamRuleOf() fills the rows beyond the map with what the operator pads with', () => {
  const cases = [
    [conv({ pads: [1, 1, 1, 1] }), 0],
    [pool('MaxPool', { pads: [1, 1, 1, 1] }), Number.NEGATIVE_INFINITY],
    [pool('AveragePool', {}), 0],
    [pool('LpPool', { pads: [1, 1, 1, 1] }), 0],
    [pad([0, 0, 1, 1, 0, 0, 1, 1]), 0],
    [{ op: 'Pad', inputs: [MAP, integers(0, 0, 1, 0, 0, 0, 1, 0), floats([], 2.5)], rowsOut: 10 }, 2.5],
    [
      {
        op: 'Pad',
        inputs: [MAP],
        attributes: { pads: [0, 0, 1, 0, 0, 0, 0, 0], value: -3 },
        opset: 10,
        rowsOut: 9,
      },
      -3,
    ],
  ] as const;
  for (const [node, fill] of cases) {
    const rule = ruleIn(node);
    assert.equal(rule.kind === 'padded' && rule.fill, fill, describe(node));
  }
});

test('streamRuleOf() lets windows alone see rows that make no whole stride', () => {
  const cases = [
    [conv({ strides: [2, 2] }), false],
    [pool('MaxPool', {}), false],
    [pool('AveragePool', {}), false],
    [pool('LpPool', {}), false],
    // Surplus rows would make a window more.
    [pool('MaxPool', { ceil_mode: 1 }), true],
    [{ op: 'Relu', inputs: [MAP] }, true],
    [{ op: 'Add', inputs: [MAP, MAP] }, true],
    [{ op: 'Concat', inputs: [MAP, MAP], attributes: { axis: 1 } }, true],
    [{ op: 'SpaceToDepth', inputs: [MAP], attributes: { blocksize: 2 }, rowsOut: 4 }, true],
    [resize('nearest'), true],
    [pad([0, 0, 1, 0, 0, 0, 1, 0]), true],
  ] as const;
  for (const [node, exact] of cases) {
    const rule = ruleIn(node);
    assert.equal(rule.kind === 'padded' ? rule.exact : rule, exact, describe(node));
  }
});

test('streamRuleOf() says why a local operator is a barrier for streams', () => {
  const cases = [
    [
      { op: 'Relu', inputs: [MAP], dtype: 'float16' },
      /^Relu of float16, expected float32, uint8, int8, int32$/,
    ],
    [{ op: 'Cast', inputs: [MAP], dtype: 'int64' }, /^Cast of int64, expected float32/],
    [{ op: 'Relu', inputs: [MAP], opset: 9 }, /^opset 9, expected 10 or newer$/],
  ] as const;
  for (const [node, reason] of cases) assertBarrier(node, reason);
});

test("streamRuleOf() crops what does something at the border that rows of one value don't", () => {
  const mirrored = (mode: string) => pad([0, 0, 1, 0, 0, 0, 1, 0], { mode });
  const cases = [
    mirrored('reflect'),
    mirrored('edge'),
    pad([0, 0, -1, 0, 0, 0, 0, 0]),
    resize('linear'),
    resize('nearest', { nearest_mode: 'ceil' }),
    pool('AveragePool', { pads: [1, 1, 1, 1] }),
    pool('AveragePool', { pads: [0, 0, 1, 0] }),
    // The last window of 3 rows begins in the last row but one.
    pool('AveragePool', { strides: [2, 2], ceil_mode: 1, count_include_pad: 1, rowsOut: 4 }),
  ];
  for (const node of cases) assert.equal(ruleIn(node).kind, 'cropped', describe(node));
});

test('streamRuleOf() streams average pools whose windows all count the same', () => {
  const cases = [
    pool('AveragePool', { strides: [2, 2], rowsOut: 3 }),
    pool('AveragePool', { pads: [0, 1, 0, 1] }),
    pool('AveragePool', { pads: [1, 1, 1, 1], count_include_pad: 1 }),
    pool('AveragePool', { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1, rowsOut: 4 }),
    // Padding below that no window reaches.
    pool('AveragePool', { pads: [0, 0, 1, 0], strides: [5, 5], rowsOut: 2 }),
  ];
  for (const node of cases) assert.equal(ruleIn(node).kind, 'padded', describe(node));
});

test('streamRuleOf() crops at the bottom: the rows are never asked for', () => {
  assert.equal(ruleIn(pad([0, 0, 0, 0, 0, 0, -2, 0])).kind, 'padded');
});

test('streamRuleOf() gives the reasons of localityOf() for what is no tile either', () => {
  assertBarrier({ op: 'GlobalAveragePool', inputs: [MAP] }, /^GlobalAveragePool isn't spatially local$/);
  assertBarrier({ op: 'Concat', inputs: [MAP, MAP], attributes: { axis: 2 } }, /^Concat along an axis/);
});

type Operand = { readonly shape: readonly number[]; readonly values?: Float32Array | BigInt64Array };

interface Case extends Pick<NodeSpec, 'op' | 'attributes'> {
  readonly inputs: readonly Operand[];
  readonly dtype?: DataType;
  readonly opset?: number;
  readonly rowsOut?: number;
}

const MAP: Operand = { shape: [1, 4, ROWS, ROWS] };

function floats(shape: readonly number[], ...values: readonly number[]): Operand {
  return { shape, values: Float32Array.from(values) };
}

function integers(...values: readonly number[]): Operand {
  return { shape: [values.length], values: BigInt64Array.from(values.map(BigInt)) };
}

function conv(attributes: NonNullable<Case['attributes']>): Case {
  const weights: Operand = { shape: [4, 4, 3, 3], values: new Float32Array(144) };
  return { op: 'Conv', inputs: [MAP, weights], attributes };
}

/** Windows of 3 x 3. */
function pool(op: string, { rowsOut = ROWS - 2, ...attributes }: Record<string, number | number[]>): Case {
  const [top = 0, , bottom = 0] = (attributes.pads ?? []) as number[];
  const { strides } = attributes;
  const rows = Number(rowsOut) + (strides === undefined ? top + bottom : 0);
  return { op, inputs: [MAP], attributes: { kernel_shape: [3, 3], ...attributes }, rowsOut: rows };
}

function pad(pads: readonly number[], attributes = {}): Case {
  const rowsOut = ROWS + (pads[2] ?? 0) + (pads[6] ?? 0);
  return { op: 'Pad', inputs: [MAP, integers(...pads)], attributes, rowsOut };
}

function resize(mode: string, attributes = {}): Case {
  const inputs = [MAP, floats([0]), floats([4], 1, 1, 2, 2)];
  return { op: 'Resize', inputs, attributes: { mode, ...attributes }, rowsOut: 2 * ROWS };
}

function ruleIn({ op, inputs, attributes = {}, dtype = 'float32', opset = 18, rowsOut = ROWS }: Case) {
  const builder = new GraphBuilder();
  const indices = inputs.map(({ shape, values }, at) =>
    values === undefined ? builder.addInput(`x${at}`, shape) : builder.addConstant(`c${at}`, values, shape),
  );
  const shape = [1, 4, rowsOut, rowsOut];
  const spec = { op, inputs: indices, attributes, floats: ['value'] };
  const output = builder.addNode(0, spec, { dtype, shape });
  const graph = { ...builder.build('one node', [output]), opsets: { '': opset } };
  const [node] = graph.nodes;
  assert.ok(node);
  return streamRuleOf(graph, node);
}

function assertBarrier(node: Case, reason: RegExp): void {
  const rule = ruleIn(node);
  assert.equal(rule.kind, 'barrier', describe(node));
  assert.match(rule.kind === 'barrier' ? rule.reason : '', reason);
}

function describe({ op, attributes }: Case): string {
  return `${op} ${JSON.stringify(attributes ?? {})}`;
}
