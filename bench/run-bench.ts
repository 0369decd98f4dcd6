/** Runs a bench: its errors, its folder and its files of results. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Panel } from '../agent/cli/chart.js';
import { drawChart } from '../agent/cli/chart.js';
import type { OutputFlags } from './bench-options.js';

/**
 * Runs the main function of a bench. A wrong option or a signal ends it with a one-line message. Any other error is
 * a fault of the bench and ends it with a stack trace.
 */
export async function runBench(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    const wasSignalled = process.exitCode !== undefined;
    if (!(error instanceof RangeError) && !wasSignalled) throw error;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode ??= 2;
  }
}

/** Gives `work` a temporary folder and removes the folder at the end. */
export async function withBenchFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'mafat-bench-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Results {
  /** Value that is written as JSON. */
  readonly figures: unknown;
  readonly panels: readonly Panel[];
}

/** Writes the files of results that the command line names. */
export async function writeResults({ json, svg }: OutputFlags, { figures, panels }: Results): Promise<void> {
  if (json !== undefined) await writeFile(json, JSON.stringify(figures, null, 2));
  if (svg !== undefined) await writeFile(svg, drawChart(panels));
}
