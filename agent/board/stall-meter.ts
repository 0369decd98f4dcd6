/**
 * The share of time in which tasks waited for memory (PSI), from the running total of a pressure file. The averages
 * beside it are those of 10 s and more, and lag behind what happens now.
 * Source: kernel Documentation/accounting/psi.rst.
 */
import type { KernelFile } from './kernel-file.js';

/** Time that a share is measured over at least; two looks in a row would make one stall of a millisecond all of it. */
const LEAST_MS = 50;

interface Total {
  readonly stalledMs: number;
  readonly atMs: number;
}

export class StallMeter {
  readonly #file: KernelFile;
  #since: Total | undefined;
  #percent: number | undefined;

  constructor(file: KernelFile) {
    this.#file = file;
  }

  /**
   * Share of the time since the reading before in which some task waited, in percent; of the last 10 s in the first.
   * Undefined where the kernel doesn't tell.
   */
  read(nowMs: number): number | undefined {
    const { average, stalledMs } = parsePressure(this.#file.read() ?? '') ?? {};
    if (average === undefined || stalledMs === undefined) return undefined;
    const passedMs = nowMs - (this.#since?.atMs ?? nowMs);
    if (this.#since !== undefined && passedMs < LEAST_MS) return this.#percent;
    this.#percent =
      this.#since === undefined
        ? average
        : Math.min(100, (100 * (stalledMs - this.#since.stalledMs)) / passedMs);
    this.#since = { stalledMs, atMs: nowMs };
    return this.#percent;
  }

  close(): void {
    this.#file.close();
    this.#since = undefined;
  }
}

/** The line `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`: percent, and microseconds. */
function parsePressure(text: string): { readonly average: number; readonly stalledMs: number } | undefined {
  const [, average, total] = /^some avg10=(\d+(?:\.\d+)?) .*total=(\d+)$/m.exec(text) ?? [];
  return total === undefined ? undefined : { average: Number(average), stalledMs: Number(total) / 1000 };
}
