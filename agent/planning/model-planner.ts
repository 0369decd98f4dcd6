/**
 * Keeps the plan of one served model inside the budget. All plans that are worth it, the front, are searched once and
 * kept in the store, so that a change of the budget is a pick and no search. Until the front is known, a few plans by
 * rule take its place.
 */
import type { DeviceProfile, RunSettings } from '../../shared/predict/index.js';
import { BUILT_IN_PROFILE, costEntryFor } from '../../shared/predict/index.js';
import type { Plan } from '../../shared/search/index.js';
import {
  budgetedBytes,
  buildPlan,
  PLANNER_VERSION,
  parsePlan,
  quickPlans,
} from '../../shared/search/index.js';
import type { Pressure } from '../../shared/wire/index.js';
import type { PressureState } from '../board/pressure.js';
import { decide, INITIAL_PRESSURE } from '../board/pressure.js';
import type { ModelConfig } from '../config/config-schema.js';
import { findAllocator } from '../engine/allocator.js';
import type { MeasuredRun } from '../engine/inference-engine.js';
import type { ExperienceKey, FrontKey, Store } from '../store/store.js';
import type { Network } from './open-model.js';
import type { Experience, PlanPoint } from './plan-choices.js';
import { keyOfPlan, PlanChoices } from './plan-choices.js';
import type { SettingsChoice } from './plan-network.js';
import { copying, mostThreads, variantsOf } from './plan-network.js';
import { RecentPeak } from './recent-peak.js';
import type { FrontJob, FrontSummary } from './search.js';

/** Where plans come from: the store, a search of this process, or rules that stand in for one. */
export type PlanOrigin = 'stored' | 'searched' | 'rules';

export interface PlanChange {
  readonly plan: Plan;
  readonly origin: PlanOrigin;
}

/** A plan took more memory than it had promised. */
export interface Correction {
  readonly promisedBytes: number;
  readonly measuredBytes: number;
  readonly correction: number;
}

/** Memory of the plan in force, in bytes above idle. */
export interface PlanMemory {
  readonly promisedBytes: number;
  /** Most of the last minute; null before the first run. */
  readonly measuredBytes: number | null;
  readonly latencyMs: number | null;
}

export interface PlannerOptions {
  readonly store: Store;
  /** Costs of this device; built-in ones if absent. */
  readonly profile?: DeviceProfile;
}

/** Time between two measurements that are kept in the store. */
const KEEP_MS = 10 * 60_000;

/** Settings that the configuration fixes. */
function choiceOf({ threads, level }: ModelConfig): SettingsChoice {
  return {
    ...(threads === null ? {} : { threads }),
    ...(level === 'auto' ? {} : { level }),
  };
}

export class ModelPlanner {
  readonly network: Network;
  readonly config: ModelConfig;
  readonly #store: Store;
  readonly #profile: DeviceProfile | undefined;
  #threshold: number | null;
  #pressure: PressureState = INITIAL_PRESSURE;
  #choices: PlanChoices | undefined;
  #origin: PlanOrigin = 'rules';
  #plan: Plan | undefined;
  #peak = new RecentPeak();
  #latencyMs: number | null = null;
  #keptAtMs = Number.NEGATIVE_INFINITY;
  #mapsWeights: boolean;
  /** At the last look, in bytes. */
  #budgetBytes = 0;
  /** The plan in force got its executor killed. */
  #mustLeave = false;

  constructor(network: Network, config: ModelConfig, { store, profile }: PlannerOptions) {
    this.network = network;
    this.config = config;
    this.#threshold = config.threshold;
    this.#store = store;
    this.#profile = profile;
    this.#mapsWeights = network.mapsWeights;
  }

  /** Takes the front from the store; where it isn't known yet, plans by rule. */
  start(): void {
    const stored = this.#store.findFront(this.#key);
    this.#origin = stored === undefined ? 'rules' : 'stored';
    const experiences = this.#store
      .experiencesOf(this.#modelKey)
      .map(({ plan, ...known }) => [plan, known] as const);
    const points = stored?.points ?? this.#planByRules();
    this.#choices = new PlanChoices(points, this.config.weights, new Map(experiences));
  }

  get name(): string {
    return this.config.name;
  }

  /** The configuration's least confidence; undefined for the model's own. */
  get threshold(): number | undefined {
    return this.#threshold ?? undefined;
  }

  setThreshold(threshold: number | null): void {
    this.#threshold = threshold;
  }

  /** Undefined until the first look at the budget. */
  get plan(): Plan | undefined {
    return this.#plan;
  }

  get pressure(): Pressure {
    return this.#pressure.pressure;
  }

  /** Whether the front has still to be searched. */
  get isProvisional(): boolean {
    return this.#origin === 'rules';
  }

  /** Null until there is a plan. */
  get memory(): PlanMemory | null {
    if (this.#plan === undefined) return null;
    const promisedBytes = this.#known.promiseOf(this.#plan);
    return { promisedBytes, measuredBytes: this.#peak.bytes, latencyMs: this.#latencyMs };
  }

  /** The plan without cuts and tiles, at the settings of the one in force; undefined if the budget can't spare it. */
  get untiledPlan(): Plan | undefined {
    if (this.#plan === undefined) return undefined;
    const plan = this.#build({ notation: 'whole', settings: this.#plan.settings });
    const needBytes = budgetedBytes(plan.predicted, this.config.weights);
    return needBytes <= this.#budgetBytes ? plan : undefined;
  }

  /** Bytes of the plan in force that the budget bounds; 0 while there is none. */
  get needBytes(): number {
    return this.#plan === undefined ? 0 : this.#known.needOf(this.#plan);
  }

  /** Least budget that any plan meets, in bytes. */
  get smallestBytes(): number {
    return this.#known.needOf(this.#known.smallest);
  }

  /** The search for the front. */
  get job(): Omit<FrontJob, 'kind'> {
    return {
      graph: this.network.graph,
      variants: this.#variants,
      weights: this.config.weights,
      ...this.#facts,
    };
  }

  /** Takes over the front that a search found, and keeps it. The next look at the budget picks from it. */
  adopt(front: FrontSummary): void {
    this.#store.saveFront(this.#key, front, Date.now());
    this.#choices = this.#known.withPoints(front.points);
    this.#origin = 'searched';
    this.#lookAnew();
  }

  /**
   * Looks at the budget, and picks another plan if that is due. Where none fits, the smallest is taken.
   * @param nowMs by a clock that doesn't jump.
   * @param isStalled tasks wait for memory, so that no plan grows.
   * @returns the plan to change to; undefined if the one in force stays.
   */
  adapt(budgetBytes: number, nowMs: number, isStalled = false): PlanChange | undefined {
    const { needBytes: planBytes, smallestBytes } = this;
    this.#budgetBytes = budgetBytes;
    const mustLeave = this.#mustLeave;
    const { state, action } = decide(this.#pressure, {
      isStalled,
      budgetBytes,
      planBytes,
      smallestBytes,
      nowMs,
      mustLeave,
    });
    this.#pressure = state;
    this.#mustLeave = false;
    if (action === 'keep' || state.planned === undefined) return undefined;
    const point = this.#known.pick(state.planned.targetBytes);
    if (this.#plan !== undefined && keyOfPlan(point) === keyOfPlan(this.#plan)) return undefined;
    this.#plan = this.#build(point);
    this.#peak = new RecentPeak();
    this.#keptAtMs = Number.NEGATIVE_INFINITY;
    return { plan: this.#plan, origin: this.#origin };
  }

  /** Takes over what a run needed. @returns a correction if it was more than promised. */
  record({ plan, workingBytes, latencyMs }: MeasuredRun, nowMs = performance.now()): Correction | undefined {
    if (plan !== this.#plan) return undefined;
    this.#peak.add(workingBytes, nowMs);
    this.#latencyMs = latencyMs;
    if (nowMs - this.#keptAtMs >= KEEP_MS) {
      this.#keptAtMs = nowMs;
      this.#keep(plan, workingBytes, latencyMs);
    }
    const promisedBytes = this.#known.promiseOf(plan);
    const experience = this.#known.correct(plan, workingBytes);
    if (experience === undefined) return undefined;
    this.#learn(plan, experience);
    return { promisedBytes, measuredBytes: workingBytes, correction: experience.correction };
  }

  /** A plan got its executor killed; it isn't used again at this budget. */
  bar(plan: Plan, budgetBytes: number): void {
    this.#learn(plan, this.#known.bar(plan, budgetBytes));
    this.#mustLeave = true;
  }

  /** Weights couldn't be mapped after all: plans count their copies from now on. @returns whether that is new. */
  countCopies(): boolean {
    if (!this.#mapsWeights) return false;
    this.#mapsWeights = false;
    this.#plan = undefined;
    this.start();
    this.#lookAnew();
    return true;
  }

  #learn(plan: Plan, experience: Experience): void {
    const known = { plan: keyOfPlan(plan), ...experience };
    this.#store.saveExperience(this.#modelKey, known, Date.now());
  }

  /** The next look at the budget picks a plan whatever was ordered before. */
  #lookAnew(): void {
    this.#pressure = { ...INITIAL_PRESSURE, pressure: this.pressure };
  }

  /** Keeps what a run needed together with what was predicted for its plan. */
  #keep({ notation, settings, predicted }: Plan, measuredBytes: number, latencyMs: number): void {
    const { correction = 1 } = costEntryFor(this.#profile ?? BUILT_IN_PROFILE, settings);
    const { workingBytes: predictedBytes } = predicted;
    const predictedMs = predicted.latencyMs / correction;
    const run = { model: this.name, notation, predictedBytes, measuredBytes, predictedMs, latencyMs };
    this.#store.addMeasurement({ ...run, ...settings }, Date.now());
  }

  #planByRules(): readonly PlanPoint[] {
    const plans = this.#variants.flatMap((settings) =>
      quickPlans(this.network.graph, { ...this.#facts, ...settings }),
    );
    // Geometry isn't kept.
    return plans.map(({ notation, settings, predicted }) => ({ notation, settings, predicted }));
  }

  #build({ notation, settings }: Pick<PlanPoint, 'notation' | 'settings'>): Plan {
    return buildPlan(this.network.graph, parsePlan(notation), { ...this.#facts, ...settings });
  }

  /** @throws {RangeError} before `start`. */
  get #known(): PlanChoices {
    if (this.#choices !== undefined) return this.#choices;
    throw new RangeError(`Cannot plan model "${this.name}": its planner isn't started`);
  }

  get #variants(): readonly RunSettings[] {
    return mostThreads(variantsOf(choiceOf(this.config)));
  }

  /** Facts of this model and device for the predictor. */
  get #facts() {
    const profile = this.#profile === undefined ? {} : { profile: this.#profile };
    return { ...copying(this.#mapsWeights), ...profile };
  }

  get #modelKey(): ExperienceKey {
    const { manifest, input } = this.network;
    return { modelDigest: manifest.digest, width: input.width, height: input.height };
  }

  get #key(): FrontKey {
    return {
      ...this.#modelKey,
      planner: PLANNER_VERSION,
      choice: JSON.stringify({ ...choiceOf(this.config), mapsWeights: this.#mapsWeights }),
      weights: this.config.weights,
      profile: this.#profile?.source ?? '',
      allocator: findAllocator().kind,
    };
  }
}
