import type { OutputTensor } from './engine/protocol.js';
import { valuesOf } from './engine/typed-array.js';

/** How far outputs are from those of the untiled run, by the law of exactness. */
export interface Verification {
  readonly maxAbsDiff: number;
  readonly maxAbsReference: number;
  /** The law holds: difference 0, or at most 1e-5 of the largest reference where the plan allows for that. */
  readonly exact: boolean;
}

/** Largest difference allowed where Convs are too small to be equal bit for bit, relative to max|reference|. */
const RELATIVE_TOLERANCE = 1e-5;

export interface VerifyOptions {
  /** The plan promises equality bit for bit. */
  readonly bitExact: boolean;
}

/**
 * Compares outputs with the reference's, by name.
 *
 * @throws {RangeError} if the reference can't show anything: NaN or infinite, constant, or of another shape.
 */
export function verifyOutputs(
  outputs: readonly OutputTensor[],
  reference: readonly OutputTensor[],
  { bitExact }: VerifyOptions,
): Verification {
  let maxAbsDiff = 0;
  let maxAbsReference = 0;
  for (const expected of reference) {
    const actual = outputs.find(({ name }) => name === expected.name);
    if (actual === undefined || actual.shape.join() !== expected.shape.join()) {
      throw new RangeError(
        `Cannot verify output "${expected.name}": its shape isn't that of the untiled run`,
      );
    }
    const compared = compareValues(actual, expected);
    maxAbsDiff = Math.max(maxAbsDiff, compared.maxAbsDiff);
    maxAbsReference = Math.max(maxAbsReference, compared.maxAbsReference);
  }
  const allowed = bitExact ? 0 : RELATIVE_TOLERANCE * maxAbsReference;
  return { maxAbsDiff, maxAbsReference, exact: maxAbsDiff <= allowed };
}

function compareValues(actual: OutputTensor, expected: OutputTensor): Omit<Verification, 'exact'> {
  const values = numbersOf(actual);
  const references = numbersOf(expected);
  let maxAbsDiff = 0;
  let maxAbsReference = 0;
  let isConstant = references.length > 1;
  for (const [at, reference] of references.entries()) {
    const value = Number(values[at]);
    if (!Number.isFinite(Number(reference)) || !Number.isFinite(value)) {
      throw new RangeError(
        `Cannot verify output "${expected.name}": element ${at} is ${value}, untiled ${reference}`,
      );
    }
    maxAbsDiff = Math.max(maxAbsDiff, Math.abs(value - Number(reference)));
    maxAbsReference = Math.max(maxAbsReference, Math.abs(Number(reference)));
    isConstant &&= reference === references[0];
  }
  if (isConstant) {
    throw new RangeError(
      `Cannot verify output "${expected.name}": the reference is constant (${references[0]}) and shows nothing`,
    );
  }
  return { maxAbsDiff, maxAbsReference };
}

function numbersOf({ name, dtype, bytes }: OutputTensor) {
  if (bytes === undefined) throw new RangeError(`Cannot verify output "${name}": its values weren't fetched`);
  return valuesOf(dtype, bytes);
}
