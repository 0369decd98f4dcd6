/** Plans a network: by a notation given by hand, or by a search over all settings that the request leaves open. */
import { availableParallelism } from 'node:os';
import type { DeviceProfile, PredictSettings, RunSettings } from '../../shared/predict/index.js';
import type { Plan, WeightsPolicy } from '../../shared/search/index.js';
import { parsePlan, searchVariants } from '../../shared/search/index.js';
import { readMachine } from '../board/machine.js';
import { findAllocator } from '../engine/allocator.js';
import type { Network } from './open-model.js';
import type { FrontSummary, SearchOptions } from './search.js';
import { searchFrontOf, searchPlanFor } from './search.js';
import { strategyNamed } from './strategies.js';

/** Settings that are asked for; the planner chooses the others. */
export type SettingsChoice = Partial<Omit<RunSettings, 'allocator'>>;

/** All settings that a choice leaves open. Blocked kernels are tried only where ONNX Runtime has them. */
export function variantsOf({ level, threads }: SettingsChoice): readonly RunSettings[] {
  const { kind: allocator } = findAllocator();
  const levels =
    level !== undefined ? [level] : readMachine() === undefined ? (['extended'] as const) : LEVELS_TRIED;
  const counts = threads === undefined ? [...new Set([availableParallelism(), 1])] : [threads];
  return counts.flatMap((count) => levels.map((one) => ({ level: one, allocator, threads: count })));
}

/** Levels worth a try; those below `extended` and `layout` are never faster. */
const LEVELS_TRIED = ['all', 'extended'] as const;

export interface PlanRequest extends SettingsChoice {
  /** A plan given by hand; else one is searched for. */
  readonly notation?: string;
  readonly strategy: string;
  readonly budgetBytes: number;
  readonly weights: WeightsPolicy;
  readonly profile?: DeviceProfile;
}

/**
 * Plans in this process, which stands still meanwhile.
 * @throws {BudgetError} if no plan fits; {SyntaxError | RangeError} for a notation that can't be used.
 */
export function planNetwork({ graph, mapsWeights }: Network, request: PlanRequest): Plan {
  const { notation, strategy, weights } = request;
  const known = { ...copying(mapsWeights), ...profileOf(request), variants: variantsOf(request), weights };
  if (notation === undefined)
    return searchVariants(graph, strategyNamed(strategy), { budgetBytes: request.budgetBytes, ...known });
  // A plan given by hand is the only candidate, whatever it needs.
  const byHand = parsePlan(notation);
  return searchVariants(graph, () => [byHand], { budgetBytes: Number.POSITIVE_INFINITY, ...known });
}

/** Plans as `planNetwork`, and searches in another process. @throws as `planNetwork`; the signal's reason. */
export async function planElsewhere(
  network: Network,
  request: PlanRequest,
  options: SearchOptions = {},
): Promise<Plan> {
  if (request.notation !== undefined) return planNetwork(network, request);
  const { graph, mapsWeights } = network;
  const { strategy, budgetBytes, weights } = request;
  const known = { ...copying(mapsWeights), ...profileOf(request), variants: variantsOf(request) };
  return searchPlanFor({ graph, strategy, budgetBytes, weights, ...known }, options);
}

function profileOf({ profile }: PlanRequest): Pick<PlanRequest, 'profile'> {
  return profile === undefined ? {} : { profile };
}

/** The fastest plan for each budget, from the smallest to the fastest. */
export function planFrontOf(
  { graph, mapsWeights }: Network,
  { choice, ...request }: FrontRequest,
  options: SearchOptions = {},
): Promise<FrontSummary> {
  const variants = mostThreads(variantsOf(choice));
  return searchFrontOf({ graph, variants, ...copying(mapsWeights), ...request }, options);
}

export interface FrontRequest {
  readonly choice: SettingsChoice;
  readonly weights: WeightsPolicy;
  readonly profile?: DeviceProfile;
}

/** Fewer threads are slower and save no memory worth it. */
export function mostThreads(variants: readonly RunSettings[]): readonly RunSettings[] {
  const most = Math.max(...variants.map(({ threads }) => threads));
  return variants.filter(({ threads }) => threads === most);
}

/** Tells the predictor about copies of weights. Where weights can't be mapped, the level decides about copies. */
export function copying(mapsWeights: boolean): Pick<PredictSettings, 'copiesWeights'> {
  return mapsWeights ? { copiesWeights: false } : {};
}
