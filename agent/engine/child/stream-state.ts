/**
 * Keeps the rows of a stream between its steps. Rows that the next step needs again are copied from the
 * session's outputs to buffers. The buffers stand as long as the segment runs.
 */
import type { Phase } from '../../../shared/tile/index.js';
import type { CarrySpec, CountSpec, StreamSpec } from '../wire/protocol.js';
import type { TypedArray } from '../wire/typed-array.js';
import { allocate, release } from '../wire/typed-array.js';
import type { Session, TensorData } from './onnx-runtime.js';

export class StreamState {
  readonly #carries: readonly CarryState[];
  readonly #counts: readonly CountSpec[];

  /**
   * @param spec what the steps take in and keep.
   * @param session whose inputs may have rows in blocked order: fewer channels of more columns
   * (`blocked-joins.ts`).
   */
  constructor({ carries, counts }: StreamSpec, session: Session) {
    this.#counts = counts;
    this.#carries = carries.map((spec) => {
      const input = spec.carry?.name ?? spec.tail?.name;
      const declared = input === undefined ? undefined : session.channelsOf(input);
      const channels = declared ?? spec.channels;
      return new CarryState({ ...spec, channels, cols: (spec.cols * spec.channels) / channels });
    });
  }

  /** Fills the buffers with padding again, for another stream of the same shape. */
  restart(): void {
    for (const carry of this.#carries) carry.restart();
  }

  /** Inputs of the session in addition to the new rows. */
  feeds(phase: Phase): readonly (readonly [string, TensorData])[] {
    const counts = this.#counts.map(({ name, rows }): readonly [string, TensorData] => {
      return [name, { dtype: 'int64', shape: [1], data: BigInt64Array.of(BigInt(rows[phase])) }];
    });
    return [...this.#carries.flatMap((carry) => carry.feeds(phase)), ...counts];
  }

  /** Names of the outputs that hold rows for the next step. */
  nextNames(phase: Phase): readonly string[] {
    return phase === 'last' ? [] : this.#carries.flatMap(({ spec }) => spec.next ?? []);
  }

  /** Copies the rows that the next step needs. */
  keep(results: Readonly<Record<string, TensorData>>): void {
    for (const carry of this.#carries) carry.keep(results);
  }

  /** Frees the buffers when the segment has ended. */
  release(): void {
    for (const carry of this.#carries) carry.release();
  }
}

class CarryState {
  readonly spec: CarrySpec;
  readonly #rowLength: number;
  readonly #rows: TypedArray;
  #tail: TypedArray;

  constructor(spec: CarrySpec) {
    const { channels, cols, carry } = spec;
    this.spec = spec;
    this.#rowLength = channels * cols;
    this.#rows = this.#padding(Math.max(carry?.top ?? 0, carry?.kept ?? 0));
    this.#tail = this.#padding(0);
  }

  restart(): void {
    fill(this.#rows, this.spec.fill);
  }

  feeds(phase: Phase): readonly (readonly [string, TensorData])[] {
    const { carry, tail } = this.spec;
    const feeds: (readonly [string, TensorData])[] = [];
    if (carry !== null) {
      const count = phase === 'first' ? carry.top : carry.kept;
      feeds.push([carry.name, this.#tensor(this.#rows, count)]);
    }
    if (tail !== null) {
      const count = phase === 'last' ? tail.bottom : 0;
      if (count > 0) {
        release(this.#tail);
        this.#tail = this.#padding(count);
      }
      feeds.push([tail.name, this.#tensor(this.#tail, count)]);
    }
    return feeds;
  }

  keep(results: Readonly<Record<string, TensorData>>): void {
    const { next } = this.spec;
    const kept = next === null ? undefined : results[next];
    if (kept === undefined) return;
    // Both are of the carry's type, which the compiler guarantees.
    (this.#rows as Float32Array).set(kept.data as Float32Array);
    release(kept.data);
  }

  release(): void {
    release(this.#rows);
    release(this.#tail);
  }

  #padding(count: number): TypedArray {
    const rows = allocate(this.spec.dtype, count * this.#rowLength);
    fill(rows, this.spec.fill);
    return rows;
  }

  #tensor(rows: TypedArray, count: number): TensorData {
    const { dtype, channels, cols } = this.spec;
    return {
      dtype,
      shape: [1, channels, count, cols],
      data: rows.subarray(0, count * this.#rowLength),
    };
  }
}

/** Fills an array of numbers. Streams have no rows of 64-bit integers. */
function fill(rows: TypedArray, value: number): void {
  (rows as Float32Array).fill(value);
}
