/**
 * What a network answers to one stored picture, small enough to keep: a digest, and some of the values. Answers to the
 * same picture are equal bit for bit whatever the plan, or within 1e-5 of the largest value where ONNX Runtime takes
 * other kernels for small parts (the law of exactness, docs/ARCHITECTURE.md).
 */
import { createHash } from 'node:crypto';
import type { OutputTensor } from '../engine/wire/protocol.js';
import { numberMaker, valuesOf } from '../engine/wire/typed-array.js';
import { allowedDifference } from './tolerance.js';

export interface Answer {
  /** SHA-256 of all outputs. */
  readonly digest: string;
  /** Values at even distances, of all outputs one after the other. */
  readonly samples: Float32Array;
}

/** Samples of one output. */
const SAMPLES = 512;

export function summarize(outputs: readonly OutputTensor[]): Answer {
  const hash = createHash('sha256');
  const samples = outputs.flatMap(({ dtype, bytes = new Uint8Array() }) => {
    hash.update(bytes);
    const values = valuesOf(dtype, bytes);
    const toNumber = numberMaker(dtype);
    const step = Math.max(1, Math.floor(values.length / SAMPLES));
    const count = Math.min(SAMPLES, values.length);
    return Array.from({ length: count }, (_, at) => toNumber(values[at * step] as number | bigint));
  });
  return { digest: hash.digest('hex'), samples: Float32Array.from(samples) };
}

/** What is wrong with an answer; undefined if nothing is. */
export function faultOf(answer: Answer, reference: Answer): string | undefined {
  if (answer.digest === reference.digest) return undefined;
  const { samples, length } = { samples: reference.samples, length: reference.samples.length };
  if (answer.samples.length !== length) return `${answer.samples.length} values, expected ${length}`;
  let [most, difference] = [0, 0];
  for (let at = 0; at < length; at += 1) {
    const [expected, found] = [samples[at] as number, answer.samples[at] as number];
    most = Math.max(most, Math.abs(expected));
    // A value that is no number differs from every other one.
    if (!Object.is(expected, found)) difference = Math.max(difference, differenceOf(expected, found));
  }
  if (difference <= allowedDifference(most)) return undefined;
  return `values differ by ${difference.toPrecision(3)} where the largest is ${most.toPrecision(3)}`;
}

function differenceOf(expected: number, found: number): number {
  const difference = Math.abs(expected - found);
  return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
}
