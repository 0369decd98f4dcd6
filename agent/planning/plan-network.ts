/** Plans a network: by a notation given by hand, or by a search over all settings that the request leaves open. */
import { availableParallelism } from 'node:os';
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
import { readMachine } from '../board/machine.js';
import { findAllocator } from '../engine/allocator.js';
import type { Network } from './open-model.js';

export const STRATEGIES: ReadonlyMap<string, Strategy> = new Map([
  ['optimal', optimalCandidates],
  ['mafat', mafatCandidates],
]);
export const DEFAULT_STRATEGY = 'optimal';

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

/** Takes the segments as given, and of the open settings those that are fastest. */
function planByHand(graph: Graph, { notation, variants, ...known }: PlanByHand): Plan {
  const parsed = parsePlan(notation);
  const plans = variants.map((settings) => buildPlan(graph, parsed, { ...known, ...settings }));
  return plans.reduce((best, plan) => (isBetter(plan, best) ? plan : best));
}

/** @throws {RangeError} if there is no strategy of this name. */
export function strategyNamed(name: string): Strategy {
  const strategy = STRATEGIES.get(name);
  if (strategy !== undefined) return strategy;
  throw new RangeError(`Cannot plan by strategy "${name}": expected ${[...STRATEGIES.keys()].join(', ')}`);
}

/** Tells the predictor about copies of weights. Where weights can't be mapped, the level decides about copies. */
export function copying(mapsWeights: boolean): Pick<PredictSettings, 'copiesWeights'> {
  return mapsWeights ? { copiesWeights: false } : {};
}
