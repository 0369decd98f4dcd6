/**
 * The plans among which a model's is picked, with what running them has taught.
 *
 * - A plan that took more than was predicted needs as much more from then on (`correction`).
 * - A plan that got its executor killed isn't picked again at that budget or a smaller one.
 */
import type { RunSettings } from '../../shared/predict/index.js';
import type { PlanPrediction, WeightsPolicy } from '../../shared/search/index.js';
import { toleranceOf } from '../board/executor-limit.js';
import { BAND_RATIO } from '../board/pressure.js';

/** A plan in few words, with its predicted needs. */
export interface PlanPoint {
  readonly notation: string;
  readonly settings: RunSettings;
  readonly predicted: PlanPrediction;
}

/** What running a plan has taught. */
export interface Experience {
  readonly correction: number;
  /** Largest budget, in bytes, at which the plan got its executor killed; 0 if it never did. */
  readonly barredBytes: number;
}

const NONE: Experience = { correction: 1, barredBytes: 0 };

/** The same text for the same plan. */
export function keyOfPlan({
  notation,
  settings: { level, allocator, threads },
}: Omit<PlanPoint, 'predicted'>): string {
  return JSON.stringify([notation, level, allocator, threads]);
}

export class PlanChoices {
  readonly #points: readonly PlanPoint[];
  readonly #weights: WeightsPolicy;
  /** By key of the plan. */
  readonly #experiences: Map<string, Experience>;

  /** @param points at least one. */
  constructor(
    points: readonly PlanPoint[],
    weights: WeightsPolicy,
    experiences: ReadonlyMap<string, Experience> = new Map(),
  ) {
    this.#points = points;
    this.#weights = weights;
    this.#experiences = new Map(experiences);
  }

  /** The working memory that a plan promises, in bytes above idle. */
  promiseOf(plan: PlanPoint): number {
    return Math.round(plan.predicted.workingBytes * this.#experienceOf(plan).correction);
  }

  /** The bytes of a plan that a budget bounds. */
  needOf(plan: PlanPoint): number {
    return this.promiseOf(plan) + (this.#weights === 'resident' ? plan.predicted.weightsBytes : 0);
  }

  /** The smallest plan. One that got its executor killed at every budget is still better than none. */
  get smallest(): PlanPoint {
    return leastBy(this.#points, (point) => this.needOf(point));
  }

  /** The fastest plan that fits, else the smallest. */
  pick(budgetBytes: number): PlanPoint {
    const fitting = this.#points.filter(
      (point) => this.needOf(point) <= budgetBytes && !this.#isBarred(point, budgetBytes),
    );
    return fitting.length === 0 ? this.smallest : leastBy(fitting, ({ predicted }) => predicted.latencyMs);
  }

  /** Takes over what a run needed. @returns what is known of the plan now, if its promise was broken. */
  correct(plan: PlanPoint, measuredBytes: number): Experience | undefined {
    const promisedBytes = this.promiseOf(plan);
    if (measuredBytes <= promisedBytes + toleranceOf(promisedBytes)) return undefined;
    return this.#learn(plan, { correction: measuredBytes / plan.predicted.workingBytes });
  }

  /** Takes over that a plan got its executor killed. @returns what is known of the plan now. */
  bar(plan: PlanPoint, budgetBytes: number): Experience {
    const { barredBytes } = this.#experienceOf(plan);
    return this.#learn(plan, { barredBytes: Math.max(barredBytes, Math.round(budgetBytes)) });
  }

  /** The same experiences with other plans. */
  withPoints(points: readonly PlanPoint[]): PlanChoices {
    return new PlanChoices(points, this.#weights, this.#experiences);
  }

  #isBarred(point: PlanPoint, budgetBytes: number): boolean {
    return budgetBytes <= this.#experienceOf(point).barredBytes * (1 + BAND_RATIO);
  }

  #experienceOf(plan: Omit<PlanPoint, 'predicted'>): Experience {
    return this.#experiences.get(keyOfPlan(plan)) ?? NONE;
  }

  #learn(plan: PlanPoint, news: Partial<Experience>): Experience {
    const experience = { ...this.#experienceOf(plan), ...news };
    this.#experiences.set(keyOfPlan(plan), experience);
    return experience;
  }
}

function leastBy(points: readonly PlanPoint[], measure: (point: PlanPoint) => number): PlanPoint {
  return points.reduce((least, point) => (measure(point) < measure(least) ? point : least));
}
