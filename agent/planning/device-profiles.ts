/**
 * Costs of this device, as `mafat calibrate` measured them and real runs have corrected them since.
 *
 * Correction: the costs of one kind of kernels and number of threads are scaled by the median of measured over
 * predicted latency. Runs are kept with the prediction of the uncorrected costs. A correction takes MIN_RUNS runs and
 * stays within LIMITS: a board that was throttled or busy for a week must not spoil the profile.
 */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { CostEntry, DeviceProfile } from '../../shared/predict/index.js';
import { KERNELS, kernelsOf, median, WORK_KINDS } from '../../shared/predict/index.js';
import type { Rule } from '../../shared/rules/index.js';
import { map, number } from '../../shared/rules/index.js';
import { readDevice } from '../board/machine.js';
import { defaultModelsFolder } from '../models/model-store.js';
import type { Measurement, StoredCosts } from '../store/store.js';
import { Store } from '../store/store.js';

const MIN_RUNS = 5;
const LIMITS = { least: 0.5, most: 2 } as const;

/** Runs that are looked at: some hours of one run a minute. */
const RUNS_KEPT = 500;

/** Path of the agent's database where none is configured. */
export function defaultStorePath(folder = dirname(defaultModelsFolder())): string {
  return join(folder, 'agent.db');
}

/** Measured costs of this device; undefined if there are none, or they can't be read. */
export function deviceProfile(path = defaultStorePath()): DeviceProfile | undefined {
  if (!existsSync(path)) return undefined;
  const store = new Store(path);
  try {
    store.start();
    return readProfile(store);
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  } finally {
    store.stop();
  }
}

/** Measured costs of a device, from an open store. */
export function readProfile(store: Store, device = readDevice()): DeviceProfile | undefined {
  const stored = store.costsOf(device);
  const entries = stored.flatMap(readEntry);
  const [first] = stored;
  if (first === undefined || KERNELS.some((kind) => entries.every(({ kernels }) => kernels !== kind)))
    return undefined;
  const measuredAt = new Date(first.measuredMs).toISOString();
  const runs = store.measurements(RUNS_KEPT).filter(({ atMs }) => atMs > first.measuredMs);
  return { source: `measured ${measuredAt}`, entries: entries.map((entry) => corrected(entry, runs)) };
}

const checkCosts = map(
  Object.fromEntries(
    WORK_KINDS.map((kind) => [kind, number('a number from 0', (value) => value >= 0)]),
  ) as Record<(typeof WORK_KINDS)[number], Rule<number>>,
);

/** Empty if the row isn't of the form that `mafat calibrate` of this version writes. */
function readEntry({ kernels, threads, costs }: StoredCosts): readonly CostEntry[] {
  const kind = KERNELS.find((known) => known === kernels);
  const checked = checkCosts(parseJson(costs));
  return kind === undefined || !checked.isValid ? [] : [{ kernels: kind, threads, costs: checked.value }];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** @param runs measured by any plan. */
export function corrected(entry: CostEntry, runs: readonly Measurement[]): CostEntry {
  const ratios = runs
    .filter(({ level, threads }) => kernelsOf(level) === entry.kernels && threads === entry.threads)
    .map(({ latencyMs, predictedMs }) => latencyMs / predictedMs)
    .filter((ratio) => Number.isFinite(ratio) && ratio > 0);
  if (ratios.length < MIN_RUNS) return entry;
  const factor = Math.min(LIMITS.most, Math.max(LIMITS.least, median(ratios)));
  const costs = Object.fromEntries(WORK_KINDS.map((kind) => [kind, entry.costs[kind] * factor]));
  return { ...entry, costs: costs as CostEntry['costs'], correction: factor };
}
