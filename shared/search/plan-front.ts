/**
 * A front is a list of plans of which none is both smaller and faster than another.
 *
 * 1. Find the smallest plan and the fastest.
 * 2. Ask the search at budgets that part the way between them in equal ratios. Budgets that the plan for a larger one
 *    meets already are left out.
 * 3. Drop plans that another one beats in memory and latency.
 *
 * Not guaranteed: that all points of the front are found. Where it is dense the next point is a few per cent of the
 * memory away. Each point is as exact as the search (optimal.ts).
 */
import type { Graph } from '../graph/index.js';
import type { PlanNotation } from './notation.js';
import { searchOf, WHOLE_PLAN } from './optimal.js';
import type { Plan } from './plan.js';
import { budgetedBytes, buildPlan } from './plan.js';
import type { SearchOptions } from './strategy.js';

/** Most points of a front, both ends included. Chosen, not measured. */
const MAX_POINTS = 24;

/** One plan of a front. */
export interface FrontPoint {
  readonly plan: Plan;
  /** Least budget that the plan meets. */
  readonly needBytes: number;
}

/** Finds plans from the smallest to the fastest. From each to the next `needBytes` rises and the latency falls. */
export function planFront(graph: Graph, options: Omit<SearchOptions, 'budgetBytes'>): readonly FrontPoint[] {
  const search = searchOf(graph, options);
  const pointOf = (notation: PlanNotation): FrontPoint => {
    const plan = buildPlan(graph, notation, options);
    return { plan, needBytes: budgetedBytes(plan.predicted, options.weights) };
  };
  const least = search.needOf(search.smallest());
  const smallest = pointOf(search.within(least)?.notation ?? search.smallest());
  const whole = pointOf(WHOLE_PLAN);
  const points = [whole];
  for (const budgetBytes of budgetsBetween(smallest.needBytes, whole.needBytes)) {
    if (points.some(({ needBytes }) => needBytes <= budgetBytes)) continue;
    const found = search.within(budgetBytes);
    if (found !== undefined) points.push(pointOf(found.notation));
  }
  return withoutDominated([...points, smallest]);
}

/** Returns the budgets between two, from the largest to the smallest, without both ends. */
function budgetsBetween(least: number, most: number): readonly number[] {
  const steps = MAX_POINTS - 1;
  return Array.from({ length: steps - 1 }, (_, at) => least * (most / least) ** ((steps - 1 - at) / steps));
}

/** Drops points that need more memory than another and aren't faster, and sorts the others by memory. */
export function withoutDominated(points: readonly FrontPoint[]): readonly FrontPoint[] {
  const sorted = [...points].sort(
    (a, b) => a.needBytes - b.needBytes || a.plan.predicted.latencyMs - b.plan.predicted.latencyMs,
  );
  const front: FrontPoint[] = [];
  for (const point of sorted) {
    const before = front.at(-1)?.plan.predicted.latencyMs ?? Number.POSITIVE_INFINITY;
    if (point.plan.predicted.latencyMs < before) front.push(point);
  }
  return front;
}
