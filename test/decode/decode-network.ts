/** Chooses the decoder of made-up outputs and decodes them, as an import and a run do. */
import assert from 'node:assert/strict';
import type { NetworkFacts, OutputEnd } from '../../agent/decode/box-decoder.js';
import { chooseDecoder } from '../../agent/decode/choose-decoder.js';
import { decodeOutputs } from '../../agent/decode/decode-outputs.js';
import type { Decoder } from '../../agent/decode/decoder-schema.js';
import { decoderSchema } from '../../agent/decode/decoder-schema.js';
import type { Detection } from '../../agent/decode/detection.js';
import type { OutputTensor } from '../../agent/engine/wire/protocol.js';

export const LABELS = ['cat', 'dog'];

export interface DecodeOptions {
  readonly size?: { readonly width: number; readonly height: number };
  /** Of the input. */
  readonly channels?: number;
  /** Null for a network without labels. */
  readonly labels?: readonly string[] | null;
  readonly task?: string;
  readonly isYolov5?: boolean;
  /** Outputs that are the result of Softmax or Sigmoid; all of them by default. */
  readonly activated?: (output: string) => boolean;
  /** Outputs that hold what convolutions give; none of them by default. */
  readonly direct?: (output: string) => boolean;
  /** What outputs end with; other operators by default. */
  readonly ends?: readonly OutputEnd[];
  /** The operators that outputs come from, the last one first; unknown ones by default. */
  readonly trail?: readonly string[];
  readonly isPaddle?: boolean;
  /** The decoder that the user names. */
  readonly wanted?: string;
  /** The decoder that model.yaml has, so that none is chosen. */
  readonly told?: Decoder;
}

const SQUARE = { width: 64, height: 64 };

/** The decoder as model.yaml holds it, which its schema has passed. */
export function chooseFor(outputs: readonly OutputTensor[], options: DecodeOptions = {}): Decoder {
  const {
    size = SQUARE,
    channels = 3,
    labels = LABELS,
    task,
    isYolov5,
    activated = () => true,
    direct = () => false,
    ends = ['other'],
    trail = [],
    isPaddle,
    wanted,
  } = options;
  const facts: Omit<NetworkFacts, 'isTold'> = {
    outputs,
    ...size,
    channels,
    ...(labels === null ? {} : { labels: labels.length }),
    ...(task === undefined ? {} : { task }),
    ...(isPaddle === undefined ? {} : { isPaddle }),
    ...(isYolov5 === undefined ? {} : { isYolov5 }),
    isActivated: activated,
    isDirect: direct,
    endsOf: () => ends,
    trailOf: () => trail,
  };
  const stored = decoderSchema(JSON.parse(JSON.stringify(chooseDecoder(facts, wanted))));
  assert.ok(stored.isValid, JSON.stringify(stored));
  return stored.value;
}

export function decodeNetwork(outputs: readonly OutputTensor[], options: DecodeOptions = {}) {
  const { size = SQUARE, labels } = options;
  const decoder = options.told ?? chooseFor(outputs, options);
  const input = { ...size, resize: 'stretch' as const };
  const result = { image: size, latencyMs: 0, readMs: 0, outputs };
  const manifest = { decoder, input, labels: labels ?? LABELS };
  return { decoder, ...decodeOutputs(result, { manifest, input }) };
}

/** A box by its upper left corner, in pixels. */
export interface Found {
  readonly classId: number;
  readonly confidence: number;
  readonly box: Detection['box'];
}

/** Compares detections in any order. */
export function assertFound(actual: readonly Detection[], expected: readonly Found[], name = ''): void {
  const rows = (found: readonly Found[]) =>
    found
      .map(({ classId, confidence, box: { x, y, width, height } }) => [
        classId,
        confidence,
        x,
        y,
        width,
        height,
      ])
      .sort((a, b) => (a[2] ?? 0) - (b[2] ?? 0));
  const [left, right] = [rows(actual), rows(expected)];
  assert.equal(left.length, right.length, `${name}: ${JSON.stringify(left)}`);
  for (const [at, row] of right.entries())
    for (const [column, value] of row.entries()) {
      const error = Math.abs((left[at]?.[column] ?? Number.NaN) - value);
      assert.ok(error < 1e-3, `${name}: ${JSON.stringify(left[at])}, expected ${JSON.stringify(row)}`);
    }
}

export function floats(name: string, shape: readonly number[], values: ArrayLike<number>): OutputTensor {
  return { name, dtype: 'float32', shape, bytes: new Uint8Array(Float32Array.from(values).buffer) };
}

export function zeros(length: number): number[] {
  return Array<number>(length).fill(0);
}

/** The number whose logistic is a probability. */
export function logit(probability: number): number {
  return Math.log(probability / (1 - probability));
}
