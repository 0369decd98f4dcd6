/**
 * Measures the event loop of the agent that it is loaded into by `--import`, and writes the figures to a file each second.
 * So the agent needs no histogram of its own, which would wake it a hundred times a second.
 *
 * A timer ticks each RESOLUTION_MS. What a tick is later than that is lag. A percentile is one of ticks.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface LoopLagFigures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Environment variable that names the file. */
export const LAG_FILE = 'MAFAT_BENCH_LAG_FILE';

const RESOLUTION_MS = 10;
const WRITE_MS = 1000;
const NANOSECONDS = 1e6;

/** Undefined before the first second. */
export function readLoopLag(file: string): LoopLagFigures | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as LoopLagFigures;
  } catch {
    // It isn't there yet, or is being written.
    return undefined;
  }
}

function startProbe(file: string): void {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  const lagMs = (delay: number) => Math.max(0, delay / NANOSECONDS - RESOLUTION_MS);
  const write = () => {
    const [p50Ms, p99Ms] = [50, 99].map((percentile) => lagMs(histogram.percentile(percentile)));
    writeFileSync(file, JSON.stringify({ p50Ms, p99Ms, maxMs: lagMs(histogram.max) }));
  };
  setInterval(write, WRITE_MS).unref();
}

const file = process.env[LAG_FILE];
if (file !== undefined) startProbe(file);
