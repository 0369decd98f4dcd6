import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readHints } from '../../agent/models/model-hints.js';
import type { PixelFacts } from '../../agent/models/pixel-rules.js';
import { pixelRuleOf, withPixels } from '../../agent/models/pixel-rules.js';
import type { Graph } from '../../shared/graph/index.js';
import { GraphBuilder } from '../../shared/graph/index.js';
import { graphOf } from '../notation.js';
import { imageInputOf } from '../run-in-process.js';

const PLAIN = graphOf('3x8x8: c4k3p1');
const FAMILY = { by: 'UltraFace', scale: 1, mean: [127, 127, 127], std: [128, 128, 128] } as const;

test('pixelRuleOf() says nothing where nothing tells', () => {
  assert.equal(ruleOf({}), undefined);
});

test('pixelRuleOf() lets metadata win over the family', () => {
  const hints = hintsOf({ 'Image.BitmapPixelFormat': 'Bgr8', 'Image.NominalPixelRange': 'Normalized_1_1' });
  assert.deepEqual(ruleOf({ hints, family: FAMILY }), {
    by: 'UltraFace, metadata Image.*',
    ...{ colorOrder: 'bgr', scale: 1 / 127.5, mean: [1, 1, 1], std: [128, 128, 128] },
  });
});

test('pixelRuleOf() takes the letterbox or the crop of ultralytics', () => {
  const metadata = { names: `{0: 'a', 1: 'b'}`, stride: '32' };
  assert.equal(ruleOf({ hints: hintsOf({ ...metadata, task: 'detect' }) })?.resize, 'letterbox');
  assert.equal(ruleOf({ hints: hintsOf({ ...metadata, task: 'classify' }) })?.resize, 'crop');
});

test('pixelRuleOf() sees that a network scales bytes itself', () => {
  const cases = [
    ['Div', [255], true],
    ['Mul', [1 / 255], true],
    ['Sub', [123.7, 116.3, 103.5], true],
    ['Sub', [0.485, 0.456, 0.406], false],
    ['Div', [0.229, 0.224, 0.225], false],
    ['Mul', [2], false],
  ] as const;
  for (const [op, values, isRaw] of cases) {
    const rule = ruleOf({ graph: scaledBy(op, values), family: FAMILY });
    assert.deepEqual(rule?.mean, isRaw ? [0, 0, 0] : FAMILY.mean, `${op} ${values}`);
  }
});

test('withPixels() leaves what the user says, and what has another number of channels', () => {
  const input = { ...imageInputOf(PLAIN), colorOrder: 'rgb' } as const;
  const told = withPixels(input, { scale: 2, colorOrder: 'rgb' }, { ...FAMILY, colorOrder: 'bgr' });
  assert.deepEqual([told.scale, told.colorOrder, told.mean], [2, 'rgb', FAMILY.mean]);
  const grey = { ...input, channels: 1, mean: [0], std: [1] } as const;
  const { mean, std } = withPixels(grey, {}, FAMILY);
  assert.deepEqual([mean, std], [[0], [1]]);
});

test('withPixels() gives a letterbox its margin, and no other rule one', () => {
  const margin = { grey: 114, place: 'top-left' } as const;
  const rule = { by: 'YOLOX', resize: 'letterbox', margin } as const;
  assert.deepEqual(withPixels(imageInputOf(PLAIN), {}, rule).margin, margin);
  assert.equal(withPixels(imageInputOf(PLAIN), { resize: 'stretch' }, rule).margin, undefined);
});

function ruleOf(facts: Partial<PixelFacts>) {
  return pixelRuleOf({ hints: hintsOf({}), family: undefined, graph: PLAIN, ...facts });
}

function hintsOf(metadata: Readonly<Record<string, string>>) {
  return readHints({ producer: '', entries: new Map(Object.entries(metadata)) });
}

/** A network that turns its image around, and then scales it. */
function scaledBy(op: string, values: readonly number[]): Graph {
  const builder = new GraphBuilder();
  const image = builder.addInput('image', [1, 8, 8, 3]);
  const size = { channels: 3, rows: 8, cols: 8 };
  const attributes = { perm: [0, 3, 1, 2] };
  const turned = builder.addMap(0, { op: 'Transpose', inputs: [image], attributes }, size);
  const factors = builder.addConstant('factors', Float32Array.from(values), [values.length, 1, 1]);
  const scaled = builder.addMap(1, { op, inputs: [turned.tensor, factors] }, size);
  return builder.build('scaled', [scaled.tensor]);
}
