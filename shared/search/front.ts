/**
 * A front is a list of plans of which none is both larger and slower than another. This file searches it over all
 * settings at once, and picks from it.
 *
 * 1. For each of the settings, list the options of all ranges (range-option.ts), and find the front (front-labels.ts).
 * 2. Build the plans. Leave out plans that are hardly faster than a smaller one.
 * 3. If work was spent before the search was through, add plans by rule (quick-plan.ts).
 */

import type { Graph } from '../graph/index.js';
import { elementAt } from '../graph/index.js';
import type { DeviceProfile, PredictSettings, RunSettings } from '../predict/index.js';
import { fixedBytes, SESSION_BYTES } from '../predict/index.js';
import { WHOLE } from '../tile/index.js';
import type { Label } from './front-labels.js';
import { frontLabels, waysOf } from './front-labels.js';
import type { Knobs } from './knobs.js';
import { KNOBS } from './knobs.js';
import type { PlanNotation } from './notation.js';
import { parsePlan } from './notation.js';
import type { Plan, WeightsPolicy } from './plan.js';
import { budgetedBytes, isLawful, layPlan } from './plan.js';
import { quickNotations } from './quick-plan.js';
import { optionContext } from './range-option.js';
import { RangeTable } from './range-table.js';
import type { StrategyOptions } from './strategy.js';
import type { TradeOff } from './trade-off.js';
import { withoutBeaten } from './trade-off.js';
import { Work, workFor } from './work.js';

/** The settings among which a front is searched. */
export interface FrontOptions {
  readonly variants: readonly RunSettings[];
  readonly weights: WeightsPolicy;
  readonly copiesWeights?: boolean;
  readonly profile?: DeviceProfile;
  /** Called as the search goes on. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Knobs of the search, for ablations. */
  readonly knobs?: Knobs;
}

/** One plan of a front. */
export interface FrontPoint extends TradeOff {
  readonly plan: Plan;
  /** Least budget that the plan meets. */
  readonly needBytes: number;
}

/** The front of a graph. From each point to the next `needBytes` rises and the latency falls. */
export interface Front {
  readonly points: readonly FrontPoint[];
  /** Whether the search came to its end. Else its work was spent, and better plans may exist. */
  readonly complete: boolean;
}

/** Searches plans from the smallest, of all modes and variants, to the fastest. */
export function searchFront(
  graph: Graph,
  { variants, onProgress, knobs = KNOBS, ...known }: FrontOptions,
): Front {
  const fronts = variants.map((settings, at) => {
    const report = (part: number) => onProgress?.(Math.round(100 * (at + part)), 100 * variants.length);
    return searchVariant(graph, { ...known, ...settings }, { knobs, report });
  });
  return {
    points: withoutBeaten(
      fronts.flatMap(({ points }) => points),
      knobs.worth,
    ),
    complete: fronts.every(({ complete }) => complete),
  };
}

/** Returns the fastest plan that fits. @returns undefined if none does. */
export function pickFromFront(points: readonly FrontPoint[], budgetBytes: number): FrontPoint | undefined {
  return points.findLast(({ needBytes }) => needBytes <= budgetBytes);
}

/** The strategy of this project: the plans of the front, the fastest first. */
export function optimalCandidates(graph: Graph, options: StrategyOptions): Iterable<PlanNotation> {
  return searchVariant(graph, options, { knobs: KNOBS })
    .points.map(({ plan }) => parsePlan(plan.notation))
    .reverse();
}

interface Conduct {
  readonly knobs: Knobs;
  readonly report?: (part: number) => void;
}

function searchVariant(graph: Graph, options: StrategyOptions, { knobs, report }: Conduct): Front {
  const work = new Work(workFor(graph.nodes.length, knobs), report);
  const pointOf = (notation: PlanNotation): FrontPoint => {
    const plan = layPlan(graph, notation, options);
    const { predicted } = plan;
    return { plan, needBytes: budgetedBytes(predicted, options.weights), latencyMs: predicted.latencyMs };
  };
  const whole = pointOf({ modes: [WHOLE], cuts: [] });
  const mostBytes = roomOf(graph, whole.plan, options);
  const rule = { sessionBytes: SESSION_BYTES, countsWeights: options.weights === 'resident' };
  const table = new RangeTable(optionContext(graph, options, knobs), { mostBytes, work });
  const labels = withoutBeaten(frontLabels(table, rule, work), knobs.worth);
  const byRule = work.isShort ? quickNotations(graph) : [];
  const points = [...labels.map((label) => notationOf(graph, label)), ...byRule]
    .map(pointOf)
    .filter(({ plan }) => isLawful(plan));
  return { points: withoutBeaten([...points, whole], knobs.worth), complete: !work.isShort };
}

/** Returns the bytes that the largest segment of a plan takes, without what any plan takes. */
function roomOf(graph: Graph, { predicted }: Plan, settings: PredictSettings): number {
  // A byte is for rounding, since predictions are rounded to bytes.
  return predicted.workingBytes - fixedBytes(graph, settings) - SESSION_BYTES + 1;
}

/** Returns the notation of the plan that a label stands for. */
function notationOf(graph: Graph, label: Label): PlanNotation {
  const parts = waysOf(label).flatMap(({ options }) =>
    options.map(({ from, mode }, at) => ({
      layer: elementAt(graph.nodes, from).layer,
      mode,
      linked: at > 0,
    })),
  );
  const links = parts.filter(({ linked }) => linked).map(({ layer }) => layer);
  return {
    modes: parts.map(({ mode }) => mode),
    cuts: parts.slice(1).map(({ layer }) => layer),
    ...(links.length === 0 ? {} : { links }),
  };
}
