/**
 * The plans between which a choice of memory is a choice of speed: none is both smaller and faster than another.
 *
 * The search is asked at budgets that part the way from the smallest plan to the fastest in equal ratios; budgets
 * that the plan for a larger one meets already are left out. So it isn't the whole front, but where it is dense the
 * next point is a few per cent of the memory away. As exact as the search (optimal.ts).
 */
import type { Graph } from '../graph/index.js';
import type { PlanNotation } from './notation.js';
import { searchOf, WHOLE_PLAN } from './optimal.js';
import type { Plan } from './plan.js';
import { budgetedBytes, buildPlan } from './plan.js';
import type { SearchOptions } from './strategy.js';

/** Points at most, and budgets that are asked. */
const MAX_POINTS = 24;

export interface FrontPoint {
  readonly plan: Plan;
  /** The least budget that the plan meets. */
  readonly needBytes: number;
}

/** From the smallest plan to the fastest: `needBytes` rises and the predicted latency falls from each to the next. */
export function planFront(graph: Graph, options: Omit<SearchOptions, 'budgetBytes'>): readonly FrontPoint[] {
  const search = searchOf(graph, options);
  const pointOf = (notation: PlanNotation): FrontPoint => {
    const plan = buildPlan(graph, notation, options);
    return { plan, needBytes: budgetedBytes(plan.predicted, options.weights) };
  };
  const least = search.needOf(search.smallest());
  const smallest = pointOf(search.within(least)?.notation ?? search.smallest());
  const points = [pointOf(WHOLE_PLAN)];
  for (const budgetBytes of budgetsBetween(smallest.needBytes, points[0]?.needBytes ?? 0)) {
    if (points.some(({ needBytes }) => needBytes <= budgetBytes)) continue;
    const found = search.within(budgetBytes);
    if (found !== undefined) points.push(pointOf(found.notation));
  }
  return withoutDominated([...points, smallest]);
}

/** Largest first, both ends left out. */
function budgetsBetween(least: number, most: number): readonly number[] {
  const steps = MAX_POINTS - 1;
  return Array.from({ length: steps - 1 }, (_, at) => least * (most / least) ** ((steps - 1 - at) / steps));
}

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
