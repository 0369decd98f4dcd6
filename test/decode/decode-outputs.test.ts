import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeOutputs, needsValues } from '../../agent/decode/decode-outputs.js';
import type { Decoder } from '../../agent/decode/decoder-schema.js';
import type { Detection } from '../../agent/decode/detection.js';
import type { OutputTensor, RunResult } from '../../agent/engine/wire/protocol.js';
import { marginOf, seenPart, shownSize } from '../../agent/engine/wire/shown-size.js';
import type { InputSpec, Manifest } from '../../agent/models/manifest.js';

test('decodeOutputs() gives names and shapes when the decoder is raw', () => {
  const manifest = manifestOf({ kind: 'raw' });
  const outputs: OutputTensor[] = [
    { name: 'a', dtype: 'float16', shape: [1, 2] },
    { name: 'b', dtype: 'int64', shape: [] },
  ];
  assert.deepEqual(decodeOutputs(resultOf(outputs), { manifest, input: manifest.input }), {
    detections: [],
    outputs: [
      { name: 'a', shape: [1, 2] },
      { name: 'b', shape: [] },
    ],
  });
});

test('needsValues() is false for raw outputs only', () => {
  assert.equal(needsValues(manifestOf({ kind: 'raw' })), false);
  assert.equal(needsValues(manifestOf(classes(1))), true);
  assert.equal(needsValues(manifestOf(BOXES)), true);
});

test('decodeOutputs() ranks classes and keeps the first few', () => {
  const decoded = decode(manifestOf(classes(2)), [floats('scores', [1, 4], [0.1, 0.5, 0.15, 0.25])]);
  assert.deepEqual(decoded, {
    detections: [],
    classes: [
      { label: 'dog', classId: 1, confidence: 0.5 },
      { label: 'class 3', classId: 3, confidence: 0.25 },
    ],
  });
});

test('decodeOutputs() gives all classes when there are fewer than asked for', () => {
  const decoded = decode(manifestOf(classes(5)), [floats('scores', [1, 2], [0.25, 0.75])]);
  assert.deepEqual(
    decoded.classes?.map(({ label }) => label),
    ['dog', 'cat'],
  );
});

test('decodeOutputs() turns scores into probabilities when the network has no softmax', () => {
  const manifest = manifestOf({ ...classes(3), softmax: true });
  const decoded = decode(manifest, [floats('scores', [1, 3], [0, Math.log(2), Math.log(5)])]);
  const confidences = decoded.classes?.map(({ confidence }) => confidence) ?? [];
  for (const [at, expected] of [0.625, 0.25, 0.125].entries()) assertClose(confidences[at], expected);
});

test('decodeOutputs() reads values that stand unaligned in a larger buffer', () => {
  const { bytes = new Uint8Array(), ...output } = floats('scores', [1, 2], [0.25, 0.75]);
  const shifted = new Uint8Array(bytes.byteLength + 1);
  shifted.set(bytes, 1);
  const decoded = decode(manifestOf(classes(1)), [{ ...output, bytes: shifted.subarray(1) }]);
  assert.equal(decoded.classes?.[0]?.confidence, 0.75);
});

test('decodeOutputs() names the output that the network has not', () => {
  assert.throws(() => decode(manifestOf(classes(1)), [floats('a', [1], [0]), floats('b', [1], [0])]), {
    name: 'RangeError',
    message: 'Cannot decode output "scores": the network has a, b',
  });
});

test('decodeOutputs() fails when an output is no numbers', () => {
  const output: OutputTensor = { name: 'scores', dtype: 'string', shape: [1], bytes: new Uint8Array(8) };
  assert.throws(() => decode(manifestOf(classes(1)), [output]), {
    name: 'RangeError',
    message: /output "scores": it is string, expected numbers/,
  });
});

test('decodeOutputs() maps boxes of a stretched image back to its pixels', () => {
  const manifest = manifestOf(BOXES);
  const [detection] = decodeBox(manifest, { centerX: 0.5, centerY: 0.25, width: 0.5, height: 0.5 });
  assertBox(detection, { x: 50, y: 0, width: 100, height: 50 });
  assert.deepEqual([detection?.label, detection?.classId], ['cat', 0]);
});

test('decodeOutputs() maps boxes of a letterboxed image back to its pixels', () => {
  const manifest = manifestOf(BOXES, { resize: 'letterbox', width: 100, height: 100 });
  // A wide image fills the width of the square input and half of its height, in the middle.
  const [whole] = decodeBox(manifest, { centerX: 0.5, centerY: 0.5, width: 1, height: 0.5 });
  assertBox(whole, { x: 0, y: 0, width: 200, height: 100 });
  const [corner] = decodeBox(manifest, { centerX: 0.25, centerY: 0.375, width: 0.5, height: 0.25 });
  assertBox(corner, { x: 0, y: 0, width: 100, height: 50 });
});

test('decodeOutputs() finds a box where it was put, however the image was fitted', () => {
  const side = fc.integer({ min: 16, max: 4000 });
  const unit = fc.double({ min: 0.01, max: 0.99, noNaN: true });
  fc.assert(
    fc.property(
      fc.record({ width: side, height: side }),
      fc.record({ width: side, height: side }),
      fc.constantFrom('stretch', 'letterbox', 'crop'),
      fc.record({ x: unit, y: unit, width: unit, height: unit }),
      (image, size, resize, relative) => {
        const manifest = manifestOf(BOXES, { resize, ...size });
        const put = {
          x: relative.x * image.width,
          y: relative.y * image.height,
          width: relative.width * image.width,
          height: relative.height * image.height,
        };
        const box = placeBox(put, { image, input: manifest.input });
        const [detection] = decodeBox(manifest, box, image);
        // Values are float32, relative to the input; an image that fills little of it magnifies their error.
        const aspect = Math.max(size.width / size.height, size.height / size.width);
        const tolerance = 2e-5 * Math.max(image.width, image.height) * aspect;
        assertBox(detection, put, tolerance);
      },
    ),
  );
});

test('decodeOutputs() keeps the size of anchors in pixels when the input is of another size', () => {
  const manifest = manifestOf(BOXES);
  const input = { ...manifest.input, width: 100, height: 200 };
  const output = floats(
    'boxes',
    [1, 6, 1, 1],
    boxValues({ centerX: 0.5, centerY: 0.5, width: 1, height: 1 }),
  );
  const image = { width: 100, height: 200 };
  const { detections } = decodeOutputs({ ...resultOf([output]), image }, { manifest, input });
  assert.deepEqual(detections[0]?.box, { x: 25, y: 75, width: 50, height: 50 });
});

test('decodeOutputs() suppresses overlaps between heads', () => {
  const head = { ...HEAD, output: 'more' };
  const manifest = manifestOf({ ...BOXES, heads: [HEAD, head] });
  const values = boxValues({ centerX: 0.5, centerY: 0.5, width: 1, height: 1 });
  const outputs = [floats('boxes', [1, 6, 1, 1], values), floats('more', [1, 6, 1, 1], values)];
  assert.equal(decode(manifest, outputs).detections.length, 1);
  const lenient = manifestOf({ ...BOXES, heads: [HEAD, head], nmsIou: 1 });
  assert.equal(decode(lenient, outputs).detections.length, 2);
});

test('decodeOutputs() takes the threshold of the run before that of the manifest', () => {
  const manifest = manifestOf({ ...BOXES, threshold: 0.9 });
  const values = boxValues({ centerX: 0.5, centerY: 0.5, width: 1, height: 1 }, 0.5);
  const outputs = [floats('boxes', [1, 6, 1, 1], values)];
  assert.equal(decode(manifest, outputs).detections.length, 0);
  const options = { manifest, input: manifest.input, threshold: 0.4 };
  assert.equal(decodeOutputs(resultOf(outputs), options).detections.length, 1);
});

/** A head with one anchor as large as the input, and one class. Values are boxes without activation. */
const HEAD = {
  kind: 'yolo' as const,
  output: 'boxes',
  classes: 1,
  anchors: [{ width: 1, height: 1 }],
  scaleXY: 1,
  softmax: false,
  newCoords: true,
};

const BOXES = { kind: 'darknet' as const, threshold: 0.25, nmsIou: 0.45, heads: [HEAD] };

function classes(topK: number) {
  return { kind: 'classes' as const, output: 'scores', topK, softmax: false };
}

/** A network with a square input of 50 pixels. */
function manifestOf(decoder: Decoder, input: Partial<InputSpec> = {}): Manifest {
  return {
    format: 1,
    source: { kind: 'onnx', files: [] },
    digest: `sha256:${'0'.repeat(64)}`,
    input: {
      ...{ name: 'image', width: 50, height: 50, channels: 3, layout: 'nchw', dtype: 'float32' },
      ...{ resize: 'stretch', colorOrder: 'rgb', scale: 1, mean: [0], std: [1] },
      ...input,
    },
    decoder,
    labels: ['cat', 'dog'],
  };
}

function floats(name: string, shape: readonly number[], values: readonly number[]): OutputTensor {
  return { name, dtype: 'float32', shape, bytes: new Uint8Array(Float32Array.from(values).buffer) };
}

/** Decodes outputs of an image of 200 x 100 pixels. */
function resultOf(outputs: readonly OutputTensor[]): RunResult {
  return { image: { width: 200, height: 100 }, latencyMs: 0, readMs: 0, outputs };
}

function decode(manifest: Manifest, outputs: readonly OutputTensor[]) {
  return decodeOutputs(resultOf(outputs), { manifest, input: manifest.input });
}

/** A box's centre and size, relative to the input. */
interface InputBox {
  readonly centerX: number;
  readonly centerY: number;
  readonly width: number;
  readonly height: number;
}

/** Values of a box. The decoder squares its sizes: (2 value)^2. */
function boxValues({ centerX, centerY, width, height }: InputBox, confidence = 1): readonly number[] {
  return [centerX, centerY, Math.sqrt(width) / 2, Math.sqrt(height) / 2, confidence, 1];
}

function decodeBox(
  manifest: Manifest,
  box: InputBox,
  image = { width: 200, height: 100 },
): readonly Detection[] {
  const output = floats('boxes', [1, 6, 1, 1], boxValues(box));
  return decodeOutputs({ ...resultOf([output]), image }, { manifest, input: manifest.input }).detections;
}

interface Fit {
  readonly image: RunResult['image'];
  readonly input: InputSpec;
}

/** The place in the input of a box of the image. */
function placeBox(box: Detection['box'], { image, input }: Fit): InputBox {
  const shown = shownSize(image, input);
  const { left, top } = marginOf(shown, input);
  const part = seenPart(image, input);
  const scale = { x: shown.width / part.width, y: shown.height / part.height };
  return {
    centerX: (left + (box.x - part.left + box.width / 2) * scale.x) / input.width,
    centerY: (top + (box.y - part.top + box.height / 2) * scale.y) / input.height,
    width: (box.width * scale.x) / input.width,
    height: (box.height * scale.y) / input.height,
  };
}

function assertBox(found: Detection | undefined, box: Detection['box'], tolerance = 1e-4): void {
  for (const key of ['x', 'y', 'width', 'height'] as const) {
    assertClose(found?.box[key], box[key], tolerance);
  }
}

function assertClose(found: number | undefined, expected: number, tolerance = 1e-6): void {
  const error = Math.abs((found ?? Number.NaN) - expected);
  assert.ok(error <= tolerance, `${found}, expected ${expected}`);
}
