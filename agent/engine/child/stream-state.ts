/**
 * Keeps the rows of a stream between its steps. Rows that the next step needs again are copied from the
 * session's outputs to buffers. The buffers stand as long as the segment runs.
 */
import type { Phase } from '../../../shared/tile/index.js';
import type { CarrySpec, CountSpec, StreamSpec } from '../wire/protocol.js';
import { release } from '../wire/typed-array.js';
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
  readonly #rows: Float32Array;
  #tail = new Float32Array(0);

  constructor(spec: CarrySpec) {
    const { channels, cols, carry, fill } = spec;
    this.spec = spec;
    this.#rowLength = channels * cols;
    this.#rows = new Float32Array(Math.max(carry?.top ?? 0, carry?.kept ?? 0) * this.#rowLength).fill(fill);
  }

  restart(): void {
    this.#rows.fill(this.spec.fill);
  }

  feeds(phase: Phase): readonly (readonly [string, TensorData])[] {
    const { carry, tail, fill } = this.spec;
    const feeds: (readonly [string, TensorData])[] = [];
    if (carry !== null) {
      const count = phase === 'first' ? carry.top : carry.kept;
      feeds.push([carry.name, this.#tensor(this.#rows, count)]);
    }
    if (tail !== null) {
      const count = phase === 'last' ? tail.bottom : 0;
      if (count > 0) {
        release(this.#tail);
        this.#tail = new Float32Array(count * this.#rowLength).fill(fill);
      }
      feeds.push([tail.name, this.#tensor(this.#tail, count)]);
    }
    return feeds;
  }

  keep(results: Readonly<Record<string, TensorData>>): void {
    const { next } = this.spec;
    const kept = next === null ? undefined : results[next];
    if (kept === undefined) return;
    this.#rows.set(kept.data as Float32Array);
    release(kept.data);
  }

  release(): void {
    release(this.#rows);
    release(this.#tail);
  }

  #tensor(rows: Float32Array, count: number): TensorData {
    const { channels, cols } = this.spec;
    return {
      dtype: 'float32',
      shape: [1, channels, count, cols],
      data: rows.subarray(0, count * this.#rowLength),
    };
  }
}
