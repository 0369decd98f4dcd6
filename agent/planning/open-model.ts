/** From a stored model to a graph that is ready to plan, and from there to a plan. */

import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Graph } from '../../shared/graph/index.js';
import type { DeviceProfile, PredictSettings, RunSettings } from '../../shared/predict/index.js';
import type { Plan, Strategy, WeightsPolicy } from '../../shared/search/index.js';
import {
  buildPlan,
  isBetter,
  mafatCandidates,
  optimalCandidates,
  parsePlan,
  searchVariants,
} from '../../shared/search/index.js';
import { canMapWeights } from '../engine/blocked/model-optimizer.js';
import { readMachine } from '../engine/machine.js';
import type { InputSpec, Manifest } from '../models/manifest.js';
import type { ModelStore } from '../models/model-store.js';
import { DATA_FILE } from '../models/model-store.js';
import type { AskExecutor } from '../models/specialize.js';
import { specializeGraph } from '../models/specialize.js';

export interface Network {
  readonly name: string;
  readonly folder: string;
  readonly manifest: Manifest;
  /** The manifest's input, at the size of this run. */
  readonly input: InputSpec;
  readonly graph: Graph;
  /** Its weights can be mapped at every level. */
  readonly mapsWeights: boolean;
  /** @throws {Error} if the stored model was replaced since it was opened. */
  readonly checkFiles: () => void;
}

export interface OpenOptions {
  readonly executor: AskExecutor;
  readonly size?: { readonly width: number; readonly height: number };
}

/** @throws {RangeError | SyntaxError} if there is no such model, or it can't take the input size. */
export async function openModel(
  store: ModelStore,
  name: string,
  { executor, size }: OpenOptions,
): Promise<Network> {
  const { folder, manifest, graph: stored } = await store.load(name);
  const input = { ...manifest.input, ...size };
  const graph = await specializeGraph(stored, { folder, input, executor });
  const mapsWeights = await canMapWeights(folder);
  return { name, folder, manifest, input, graph, mapsWeights, checkFiles: watchFiles(name, folder) };
}

/** The graph is in memory, its weights are mapped from a file: both have to be of the same import. */
function watchFiles(name: string, folder: string): () => void {
  const stamp = () => {
    const { ino, size, mtimeMs } = statSync(join(folder, DATA_FILE));
    return [ino, size, mtimeMs].join();
  };
  const opened = stamp();
  return () => {
    if (stamp() === opened) return;
    throw new Error(`Cannot load model "${name}": ${folder} was changed since it was opened; start anew`);
  };
}

export const STRATEGIES: ReadonlyMap<string, Strategy> = new Map([
  ['optimal', optimalCandidates],
  ['mafat', mafatCandidates],
]);
export const DEFAULT_STRATEGY = 'optimal';

/** Settings that are asked for; the planner chooses the others. */
export type SettingsChoice = Partial<RunSettings>;

/** All settings that a choice leaves open. Blocked kernels are worth a try only where ONNX Runtime has them. */
export function variantsOf({ level, malloc, threads }: SettingsChoice): readonly RunSettings[] {
  const levels =
    level !== undefined ? [level] : readMachine() === undefined ? (['extended'] as const) : LEVELS_TRIED;
  // The faster first: what it reaches narrows the other search.
  const mallocs = malloc === undefined ? (['retained', 'trimmed'] as const) : [malloc];
  const counts = threads === undefined ? [...new Set([availableParallelism(), 1])] : [threads];
  return counts.flatMap((count) =>
    levels.flatMap((one) => mallocs.map((kind) => ({ level: one, malloc: kind, threads: count }))),
  );
}

/** Those below `extended` are never faster, and `layout` isn't either. */
const LEVELS_TRIED = ['all', 'extended'] as const;

export interface PlanRequest extends SettingsChoice {
  /** A plan given by hand; else one is searched for. */
  readonly notation?: string;
  readonly strategy: string;
  readonly budgetBytes: number;
  readonly weights: WeightsPolicy;
  readonly profile?: DeviceProfile;
}

/** @throws {BudgetError} if no plan fits; {SyntaxError | RangeError} for a notation that can't be used. */
export function planNetwork({ graph, mapsWeights }: Network, request: PlanRequest): Plan {
  const { notation, budgetBytes, weights, profile } = request;
  const known = { ...copying(mapsWeights), ...(profile === undefined ? {} : { profile }) };
  const variants = variantsOf(request);
  if (notation !== undefined) return planByHand(graph, { notation, variants, ...known });
  return searchVariants(graph, strategyNamed(request.strategy), { budgetBytes, weights, variants, ...known });
}

type PlanByHand = Omit<PredictSettings, keyof RunSettings> & {
  readonly notation: string;
  readonly variants: readonly RunSettings[];
};

/** The segments as given, with the settings that are left open as is fastest. */
function planByHand(graph: Graph, { notation, variants, ...known }: PlanByHand): Plan {
  const parsed = parsePlan(notation);
  const plans = variants.map((settings) => buildPlan(graph, parsed, { ...known, ...settings }));
  return plans.reduce((best, plan) => (isBetter(plan, best) ? plan : best));
}

/** @throws {RangeError} if there is none of this name. */
export function strategyNamed(name: string): Strategy {
  const strategy = STRATEGIES.get(name);
  if (strategy !== undefined) return strategy;
  throw new RangeError(`Cannot plan by strategy "${name}": expected ${[...STRATEGIES.keys()].join(', ')}`);
}

/** What the predictor is told: where weights can't be mapped, the level says whether they are copied. */
export function copying(mapsWeights: boolean): Pick<PredictSettings, 'copiesWeights'> {
  return mapsWeights ? { copiesWeights: false } : {};
}
