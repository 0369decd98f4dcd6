/**
 * Measures the costs of work on this device.
 *
 * 1. Each probe runs by each of its plans, in all ways to run: each number of threads, each kind of kernels.
 * 2. For each kind of kernels and number of threads, costs are fitted to the runs
 *    (shared/predict/fit-costs.ts).
 */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { elementAt, externalizeConstants } from '../../../shared/graph/index.js';
import type {
  Allocator,
  CostEntry,
  Kernels,
  RunSettings,
  WorkAmounts,
} from '../../../shared/predict/index.js';
import {
  BUILT_IN_PROFILE,
  costEntryFor,
  fitCosts,
  KERNELS,
  kernelsOf,
  latencyOf,
  median,
} from '../../../shared/predict/index.js';
import type { Plan } from '../../../shared/search/index.js';
import { buildPlan, countPlanWork, parsePlan } from '../../../shared/search/index.js';
import { ModelOptimizer } from '../../engine/blocked/model-optimizer.js';
import type { ExecutorClient } from '../../engine/executor-client.js';
import { startExecutor } from '../../engine/executor-client.js';
import { loadPlan } from '../../engine/load-plan.js';
import { DATA_FILE } from '../../models/model-store.js';
import { rgbInputOf } from '../../models/rgb-input.js';
import type { Probe } from './probes.js';
import { makeProbes } from './probes.js';

export interface CalibrateOptions {
  /** Numbers of threads to measure with. */
  readonly threads: readonly number[];
  /** Whether ONNX Runtime has blocked kernels here. If not, their costs are set to those of the plain ones. */
  readonly hasBlocked: boolean;
  readonly onProgress?: (done: number, all: number) => void;
  readonly signal?: AbortSignal;
}

export interface Calibration {
  /** Costs, and the median relative error of the latencies that they predict. */
  readonly entries: readonly (CostEntry & { readonly errorRatio: number })[];
  /** Private memory of an executor before any model. */
  readonly idleBytes: number;
}

/**
 * Runs to warm up, runs timed, and index of the run taken: the second fastest, since other processes only
 * slow runs down.
 */
const RUNS = { warm: 2, timed: 5, taken: 1 } as const;

interface Sample {
  readonly settings: RunSettings;
  readonly work: WorkAmounts;
  readonly latencyMs: number;
}

/** A probe whose weights lie in a file, as those of stored models do, so that its blocked weights can be saved. */
interface StoredProbe extends Probe {
  readonly folder: string;
}

async function storeProbe(probe: Probe, parent: string): Promise<StoredProbe> {
  const folder = join(parent, probe.name);
  const { graph, chunks } = externalizeConstants(probe.graph, DATA_FILE);
  const data = new Uint8Array(Math.max(0, ...chunks.map(({ offset, bytes }) => offset + bytes.byteLength)));
  for (const { offset, bytes } of chunks) data.set(bytes, offset);
  await mkdir(folder);
  await writeFile(join(folder, DATA_FILE), data);
  return { ...probe, graph, folder };
}

interface Job {
  readonly probe: StoredProbe;
  readonly plan: Plan;
}

/** @throws {ExecutorError} if an executor is lost, or the signal aborts. */
export async function calibrate(options: CalibrateOptions): Promise<Calibration> {
  options.signal?.throwIfAborted();
  const folder = await mkdtemp(join(tmpdir(), 'mafat-calibrate-'));
  try {
    return await calibrateIn(folder, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function calibrateIn(folder: string, options: CalibrateOptions): Promise<Calibration> {
  const probes: StoredProbe[] = [];
  for (const probe of makeProbes()) probes.push(await storeProbe(probe, folder));
  const samples: Sample[] = [];
  const executor = await startExecutor();
  const { allocator, idleBytes } = executor;
  try {
    const jobs = jobsOf(probes, allocator, options);
    for (const job of jobs) {
      samples.push(await measure(executor, job, options.signal));
      options.onProgress?.(samples.length, jobs.length);
    }
  } finally {
    await executor.stop();
  }
  return { entries: fitAll(samples, options), idleBytes };
}

function jobsOf(
  probes: readonly StoredProbe[],
  allocator: Allocator,
  { threads, hasBlocked }: CalibrateOptions,
): readonly Job[] {
  const levels = hasBlocked ? (['extended', 'all'] as const) : (['extended'] as const);
  const settings = threads.flatMap((count) => levels.map((level) => ({ level, allocator, threads: count })));
  return settings.flatMap((setting) =>
    probes.flatMap((probe) =>
      probe.plans.map((plan) => ({ probe, plan: buildPlan(probe.graph, parsePlan(plan), setting) })),
    ),
  );
}

async function measure(
  executor: ExecutorClient,
  { probe, plan }: Job,
  signal?: AbortSignal,
): Promise<Sample> {
  const options = signal === undefined ? {} : { signal };
  const input = rgbInputOf(probe.graph);
  const model = { graph: probe.graph, folder: probe.folder, input };
  await loadPlan(executor, { model, plan }, { ...options, optimizer: new ModelOptimizer({ startExecutor }) });
  const { width, height } = input;
  const image = {
    kind: 'pixels',
    name: probe.name,
    width,
    height,
    bytes: new Uint8Array(3 * width * height),
  } as const;
  const latencies: number[] = [];
  for (let run = 0; run < RUNS.warm + RUNS.timed; run += 1) {
    const { latencyMs } = await executor.ask({ kind: 'run', image, outputs: 'shapes' }, options);
    if (run >= RUNS.warm) latencies.push(latencyMs);
  }
  const latencyMs = elementAt(
    latencies.sort((a, b) => a - b),
    RUNS.taken,
  );
  return { settings: plan.settings, work: countPlanWork(probe.graph, plan), latencyMs };
}

function fitAll(
  samples: readonly Sample[],
  { threads, hasBlocked }: CalibrateOptions,
): Calibration['entries'] {
  return KERNELS.flatMap((kernels) =>
    threads.map((count) =>
      fitEntry(samples, { kernels, from: hasBlocked ? kernels : 'plain', threads: count }),
    ),
  );
}

interface Wanted {
  readonly kernels: Kernels;
  /** Kernels whose samples the costs are fitted to. */
  readonly from: Kernels;
  readonly threads: number;
}

function fitEntry(
  all: readonly Sample[],
  { kernels, from, threads }: Wanted,
): CostEntry & { readonly errorRatio: number } {
  const samples = all.filter(
    ({ settings }) => settings.threads === threads && kernelsOf(settings.level) === from,
  );
  const costs = fitCosts(
    samples,
    costEntryFor(BUILT_IN_PROFILE, { level: from === 'plain' ? 'extended' : 'all', threads }).costs,
  );
  const errors = samples.map(({ work, latencyMs }) => Math.abs(latencyOf(work, costs) / latencyMs - 1));
  return { kernels, threads, costs, errorRatio: median(errors) };
}
