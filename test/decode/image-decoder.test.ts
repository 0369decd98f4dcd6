import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeOutputs, needsValues } from '../../agent/decode/decode-outputs.js';
import type { InputScaling } from '../../agent/decode/image-decoder.js';
import { pictureOf } from '../../agent/decode/output-picture.js';
import type { ImageInput, OutputTensor } from '../../agent/engine/wire/protocol.js';
import type { DecodeOptions } from './decode-network.js';
import { chooseFor, floats, zeros } from './decode-network.js';

const SIZE = { width: 2, height: 2 };
const OPTIONS: DecodeOptions = { size: SIZE, labels: null, ends: ['convolution'] };

/** Red, green and blue of 2 x 2 pixels. */
const PIXELS = [
  [255, 0, 10],
  [0, 255, 20],
  [0, 128, 255],
  [1, 2, 3],
];
const BYTES = PIXELS.flat();

test('image gives the bytes that the input would have had, whatever its scaling', () => {
  const scalings: readonly InputScaling[] = [
    { scale: 1 / 255 },
    { scale: 1 },
    { scale: 1 / 127.5, mean: [1, 1, 1], std: [1, 1, 1] },
    { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    { scale: 1 / 255, dtype: 'uint8' },
  ];
  for (const scaling of scalings)
    for (const layout of ['nchw', 'nhwc'] as const)
      for (const colorOrder of ['rgb', 'bgr'] as const) {
        const input = { ...scaling, colorOrder };
        const { picture, rows } = run([outputOf(input, layout)], { input });
        assert.deepEqual([picture.channels, ...rows], [3, ...BYTES], JSON.stringify([input, layout]));
      }
});

test('image takes black and white of model.yaml, and cuts off what is beyond', () => {
  const output = floats('y', [1, 1, 2, 2], [-3, -1, 1, 7]);
  const decoder = { kind: 'image', output: 'y', layout: 'nchw', black: [-1], white: [1] } as const;
  const { rows } = run([output], { input: { scale: 1 }, told: decoder });
  assert.deepEqual(rows, [0, 0, 255, 255]);
  const broken = floats('y', [1, 1, 2, 2], [Number.NaN, Number.POSITIVE_INFINITY, -1e30, 0]);
  assert.deepEqual(run([broken], { input: { scale: 1 }, told: decoder }).rows, [0, 255, 0, 128]);
});

test('image leaves margins out, and needs no values for its size', () => {
  const size = { width: 4, height: 4 };
  // Rows of the picture are their own numbers.
  const values = Array.from({ length: 3 * 64 }, (_, at) => Math.floor((at % 64) / 8) / 255);
  const outputs = [floats('y', [1, 3, 8, 8], values)];
  const manifest = { decoder: chooseFor(outputs, { ...OPTIONS, size }), input: size, labels: [] };
  assert.equal(needsValues(manifest), false);
  const input = { ...size, resize: 'letterbox' } as const;
  const result = { image: { width: 80, height: 40 }, latencyMs: 0, readMs: 0, outputs };
  const area = { x: 0, y: 0, width: 80, height: 40 };
  const { picture } = decodeOutputs(result, { manifest, input });
  assert.deepEqual(picture, { width: 8, height: 4, area });
  const shown = pictureOf(result, { manifest, input });
  const rows = Array.from({ length: shown.height }, (_, y) => shown.row(y)[0]);
  assert.deepEqual([shown.width, ...rows], [8, 2, 3, 4, 5]);
});

test('image is recognised by channels and whole multiples of the sides', () => {
  const sure: readonly (readonly [OutputTensor, DecodeOptions])[] = [
    [plain(3, 2), OPTIONS],
    [plain(3, 6), OPTIONS],
    [plain(1, 6), { ...OPTIONS, channels: 1 }],
  ];
  for (const [output, options] of sure) assert.equal(chooseFor([output], options).kind, 'image');
  const unsure: readonly (readonly [OutputTensor, DecodeOptions])[] = [
    // A mask, classes, a map of half the sides, or of other channels.
    [plain(1, 2), { ...OPTIONS, channels: 1 }],
    [plain(3, 2), { ...OPTIONS, labels: ['a', 'b', 'c'] }],
    [plain(3, 2), { ...OPTIONS, ends: ['softmax'] }],
    [plain(3, 3), OPTIONS],
    [plain(1, 4), OPTIONS],
    [plain(3, 2), { ...OPTIONS, size: { width: 4, height: 4 } }],
  ];
  for (const [output, options] of unsure) assert.notEqual(chooseFor([output], options).kind, 'image');
  assert.equal(chooseFor([plain(1, 2)], { ...OPTIONS, wanted: 'image' }).kind, 'image');
  assert.throws(() => chooseFor([plain(2, 2)], { ...OPTIONS, wanted: 'image' }), /Cannot use decoder image/);
});

interface RunOptions {
  readonly input: InputScaling;
  readonly told?: ReturnType<typeof chooseFor>;
}

/** The picture of outputs, and all its bytes. */
function run(outputs: readonly OutputTensor[], { input, told }: RunOptions) {
  const decoder = told ?? chooseFor(outputs, OPTIONS);
  const fitted: Pick<ImageInput, 'width' | 'height' | 'resize'> = { ...SIZE, resize: 'stretch' };
  const result = { image: SIZE, latencyMs: 0, readMs: 0, outputs };
  const manifest = { decoder, labels: [], input: { ...SIZE, ...input } };
  const picture = pictureOf(result, { manifest, input: fitted });
  const rows = Array.from({ length: picture.height }, (_, y) => [...picture.row(y)]).flat();
  return { picture, rows };
}

/** What a network gives that changes nothing. */
function outputOf(input: InputScaling, layout: 'nchw' | 'nhwc'): OutputTensor {
  const { scale = 1, mean = [0, 0, 0], std = [1, 1, 1], colorOrder, dtype } = input;
  const values = zeros(12);
  for (const [pixel, colours] of PIXELS.entries())
    for (let channel = 0; channel < 3; channel += 1) {
      const byte = colours[colorOrder === 'bgr' ? 2 - channel : channel] ?? 0;
      const at = layout === 'nchw' ? channel * 4 + pixel : pixel * 3 + channel;
      values[at] = dtype === 'uint8' ? byte : (byte * scale - (mean[channel] ?? 0)) / (std[channel] ?? 1);
    }
  return floats('y', layout === 'nchw' ? [1, 3, 2, 2] : [1, 2, 2, 3], values);
}

function plain(channels: number, side: number): OutputTensor {
  return floats('y', [1, channels, side, side], []);
}
