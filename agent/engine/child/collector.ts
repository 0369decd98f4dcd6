/**
 * Calls V8's collector, so that the garbage of runs is bounded. V8 itself would wait until the heap has grown by half.
 *
 * A collection of young values takes less than a millisecond, one of all values 8 ms (x86-64, heap of 6 MB). Some 50 KB
 * of each run outlive the former, so the latter comes about once in 15 runs.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';

/** Bytes of garbage after which all values are collected. A part of what the predictor adds to any plan. */
const GARBAGE_BYTES = 0.75 * 2 ** 20;

/** Bytes that young values may take: a semi-space, by the executor's flags. */
const YOUNG_BYTES = 2 ** 20;

export class Collector {
  /** Bytes of the heap and of buffers outside of it, after the last collection of all values. */
  #liveBytes = usedBytes();

  afterStep(): void {
    if (this.#garbageBytes() > YOUNG_BYTES + GARBAGE_BYTES) this.collectAll();
  }

  afterRun(): void {
    collect({ type: 'minor' });
    if (this.#garbageBytes() > GARBAGE_BYTES) this.collectAll();
  }

  collectAll(): void {
    collect();
    this.#liveBytes = usedBytes();
  }

  /** Collects what the start left, and closes the gaps: 1 MB less than a plain collection gives back. */
  compact(): void {
    setFlagsFromString('--compact-on-every-full-gc');
    this.collectAll();
    setFlagsFromString('--no-compact-on-every-full-gc');
  }

  #garbageBytes(): number {
    return usedBytes() - this.#liveBytes;
  }
}

function usedBytes(): number {
  const { used_heap_size: heapBytes, external_memory: bufferBytes } = getHeapStatistics();
  return heapBytes + bufferBytes;
}

/** `globalThis.gc`, present under --expose-gc. */
function collect(options?: { readonly type: 'minor' }): void {
  (globalThis as { gc?: (options?: { readonly type: 'minor' }) => void }).gc?.(options);
}
