/**
 * Private memory of a process, from /proc/<pid>/status, and its peak over a time.
 *
 * Working memory is the peak of VmHWM - RssFile, minus RssAnon when idle. Pages of mapped weights come during
 * the first run, so that difference is too small for it; and pages swapped out are in neither. So RssAnon +
 * VmSwap is sampled as well, and the larger counts. Source: man proc_pid_status, proc_pid_clear_refs.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readText } from './read-text.js';

export interface ProcessMemory {
  readonly rssAnonBytes: number;
  readonly rssFileBytes: number;
  readonly swapBytes: number;
  /** Peak of all resident memory since the last reset. */
  readonly peakRssBytes: number;
}

/** How often memory is sampled: 20 us of work each, while the executor's steps take milliseconds. */
const SAMPLE_MS = 4;

/** @param root where procfs is mounted; tests give a tree of their own. */
export function readProcessMemory(pid: number, root = '/proc'): ProcessMemory {
  const status = readFileSync(join(root, String(pid), 'status'), 'utf8');
  const bytesOf = (key: string) =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return {
    rssAnonBytes: bytesOf('RssAnon'),
    rssFileBytes: bytesOf('RssFile'),
    swapBytes: bytesOf('VmSwap'),
    peakRssBytes: bytesOf('VmHWM'),
  };
}

/**
 * Proportional memory: private pages, and of each shared one the process's share. The kernel walks all pages for it,
 * half a millisecond for the agent; so it is for reports. Undefined where the kernel doesn't tell.
 */
export function readPss(pid: number, root = '/proc'): number | undefined {
  const rollup = readText(join(root, String(pid), 'smaps_rollup'));
  const kibibytes = /^Pss:\s+(\d+) kB$/m.exec(rollup ?? '')?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}

/** Time between two readings while memory settles, the time without a lower one after which it has, and the longest. */
const SETTLE_MS = { interval: 50, calm: 250, longest: 2000 } as const;

/** Waits until a process has given back the pages that its start left unused. @returns its private bytes then. */
export async function measureIdle(pid: number): Promise<number> {
  const startMs = performance.now();
  let least = { bytes: readProcessMemory(pid).rssAnonBytes, atMs: startMs };
  for (let nowMs = startMs; nowMs - startMs < SETTLE_MS.longest; nowMs = performance.now()) {
    if (nowMs - least.atMs >= SETTLE_MS.calm) break;
    await sleep(SETTLE_MS.interval);
    const bytes = readProcessMemory(pid).rssAnonBytes;
    if (bytes < least.bytes) least = { bytes, atMs: performance.now() };
  }
  return least.bytes;
}

export interface MeterOptions {
  /** Private memory of the process before, in bytes. */
  readonly idleBytes: number;
  /** Where procfs is mounted; tests give a tree of their own. */
  readonly root?: string;
}

/** Measures the peak of one process's private memory above idle. */
export class PeakMeter {
  readonly #pid: number;
  readonly #idleBytes: number;
  readonly #root: string;
  #peakBytes = 0;
  /** Most file pages seen: fewer may be left at the end, where the kernel took some back under pressure. */
  #fileBytes = 0;
  #canReset = true;
  #timer: NodeJS.Timeout | undefined;

  constructor(pid: number, { idleBytes, root = '/proc' }: MeterOptions) {
    this.#pid = pid;
    this.#idleBytes = idleBytes;
    this.#root = root;
  }

  start(): void {
    try {
      writeFileSync(join(this.#root, String(this.#pid), 'clear_refs'), '5');
    } catch {
      // Kernels without it (CONFIG_PROC_PAGE_MONITOR) leave the samples.
      this.#canReset = false;
    }
    this.#sample();
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  /** @returns working memory in bytes since `start`; the same again if called again. */
  stop(): number {
    if (this.#timer !== undefined) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      const memory = this.#sample();
      if (this.#canReset && memory !== undefined) {
        this.#peakBytes = Math.max(this.#peakBytes, memory.peakRssBytes - this.#fileBytes);
      }
    }
    return Math.max(0, this.#peakBytes - this.#idleBytes);
  }

  #sample(): ProcessMemory | undefined {
    try {
      const memory = readProcessMemory(this.#pid, this.#root);
      this.#peakBytes = Math.max(this.#peakBytes, memory.rssAnonBytes + memory.swapBytes);
      this.#fileBytes = Math.max(this.#fileBytes, memory.rssFileBytes);
      return memory;
    } catch {
      // The process has just ended, which the caller that waits for its answer reports.
      return undefined;
    }
  }
}
