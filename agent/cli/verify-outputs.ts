/** Compares outputs with those of a reference. */

import { allowedDifference } from '../check/tolerance.js';
import type { OutputTensor } from '../engine/wire/protocol.js';
import { numberMaker, valuesOf } from '../engine/wire/typed-array.js';

/** The largest difference between outputs and their reference. */
export interface Verification {
  readonly maxAbsDiff: number;
  readonly maxAbsReference: number;
  /** Whether the difference is 0, or what rounding may do (tolerance.ts) where the plan allows that. */
  readonly exact: boolean;
}

export interface VerifyOptions {
  /** Whether the plan promises equality bit for bit. */
  readonly bitExact: boolean;
  /** What the reference is of, for errors. */
  readonly what?: string;
}

/**
 * Compares outputs with the reference's outputs of the same name.
 *
 * @throws {RangeError} if the comparison can't show anything: the reference isn't finite or has another shape, or all of it
 * is constant.
 */
export function verifyOutputs(
  outputs: readonly OutputTensor[],
  reference: readonly OutputTensor[],
  { bitExact, what = 'untiled network' }: VerifyOptions,
): Verification {
  checkConstant(reference, what);
  const compared = reference.map((expected) => {
    const actual = outputs.find(({ name }) => name === expected.name);
    if (actual?.shape.join() !== expected.shape.join()) {
      throw new RangeError(
        `Cannot verify output "${expected.name}": its shape is [${actual?.shape.join(', ')}], that of the ${what} is [${expected.shape.join(', ')}]`,
      );
    }
    return compareValues(actual, expected, { bitExact, what });
  });
  return worstOf(compared);
}

/** The largest differences of several comparisons, which are exact together if each of them is. */
export function worstOf(compared: readonly Verification[]): Verification {
  return {
    maxAbsDiff: Math.max(0, ...compared.map(({ maxAbsDiff }) => maxAbsDiff)),
    maxAbsReference: Math.max(0, ...compared.map(({ maxAbsReference }) => maxAbsReference)),
    exact: compared.every(({ exact }) => exact),
  };
}

function compareValues(
  actual: OutputTensor,
  expected: OutputTensor,
  { bitExact, what }: Required<VerifyOptions>,
): Verification {
  const values = numbersOf(actual);
  const references = numbersOf(expected);
  checkFinite(expected.name, references, what);
  let maxAbsDiff = 0;
  let maxAbsReference = 0;
  for (let at = 0; at < references.length; at += 1) {
    const reference = references[at] as number;
    const difference = Math.abs((values[at] as number) - reference);
    maxAbsDiff = Math.max(maxAbsDiff, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
    maxAbsReference = Math.max(maxAbsReference, Math.abs(reference));
  }
  const allowed = bitExact ? 0 : allowedDifference(maxAbsReference);
  return { maxAbsDiff, maxAbsReference, exact: maxAbsDiff <= allowed };
}

function checkFinite(name: string, references: Floats, what: string): void {
  const odd = references.findIndex((value) => !Number.isFinite(value));
  if (odd < 0) return;
  throw new RangeError(
    `Cannot verify output "${name}": element ${odd} of the ${what} is ${references[odd]}, expected a finite number`,
  );
}

/** So many values aren't equal by chance. */
const MANY = 8;

/** Some outputs may be constant, such as a list of classes that are all the same, but not all of them. */
function checkConstant(reference: readonly OutputTensor[], what: string): void {
  const values = reference.map(numbersOf);
  const isConstant = (numbers: Floats) =>
    numbers.length >= MANY && numbers.every((value) => value === numbers[0]);
  const [first] = reference;
  if (first === undefined || !values.every(isConstant)) return;
  throw new RangeError(
    `Cannot verify output "${first.name}": the ${what}'s is constant (${values[0]?.[0]}), so that it can't show a difference`,
  );
}

/** Not a list of numbers, since outputs may have millions. */
type Floats = Float32Array | Float64Array;

function numbersOf({ name, dtype, bytes }: OutputTensor): Floats {
  if (bytes === undefined) throw new RangeError(`Cannot verify output "${name}": its values weren't fetched`);
  const values = valuesOf(dtype, bytes);
  if (values instanceof Float32Array) return values;
  return Float64Array.from(values as ArrayLike<number | bigint>, numberMaker(dtype));
}
