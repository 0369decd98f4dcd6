/**
 * The planners of all served models, as one feature: opens the models, has a first plan for each before requests
 * come, and hands every change of plan to the engine and to the event hub.
 */
import type { Logger } from 'pino';
import type { BoundBytes } from '../board/budget.js';
import type { ModelConfig } from '../config/config-schema.js';
import type { InferenceEngine, MeasuredRun } from '../engine/inference-engine.js';
import type { EventHub } from '../events/event-hub.js';
import type { ModelStore } from '../models/model-store.js';
import type { Store } from '../store/store.js';
import { readProfile } from './device-profiles.js';
import { ModelPlanner } from './model-planner.js';
import { openModel } from './open-model.js';

export interface PlannersOptions {
  readonly configs: readonly ModelConfig[];
  readonly models: ModelStore;
  readonly store: Store;
  readonly engine: InferenceEngine;
  readonly hub: EventHub;
  readonly log: Logger;
  /** The budget as it is now. */
  readonly budget: () => BoundBytes;
}

const NO_NEW_PLAN = 'planning failed; the plan in force stays';

export class Planners {
  readonly #options: PlannersOptions;
  readonly #planners = new Map<string, ModelPlanner>();
  #isStopped = false;

  constructor(options: PlannersOptions) {
    this.#options = options;
  }

  get all(): readonly ModelPlanner[] {
    return [...this.#planners.values()];
  }

  get names(): readonly string[] {
    return [...this.#planners.keys()];
  }

  get(name: string): ModelPlanner | undefined {
    return this.#planners.get(name);
  }

  /**
   * Opens the models and looks at the budget once. Resolves when each model has a plan, or its search has failed.
   * @throws as `openModel`.
   */
  async start(): Promise<void> {
    await this.#open();
    await this.adapt(this.#options.budget());
    for (const planner of this.all) void this.#findSmallest(planner);
  }

  /** Searches that still run end. */
  stop(): void {
    this.#isStopped = true;
    for (const planner of this.all) planner.stop();
  }

  /** Looks at a new budget for each model. Resolves when all plans that are due are in force; never rejects. */
  async adapt(budget: BoundBytes): Promise<void> {
    await Promise.all(this.all.map((planner) => this.#adapt(planner, budget)));
  }

  record(run: MeasuredRun): void {
    this.get(run.model)?.record(run, Date.now());
  }

  /** The weights of a model are on the heap, for the given reason; its plans have to count them. */
  countCopies(model: string, reason: string): void {
    this.#options.log.warn({ model, reason }, 'weights are copied to the heap; planning anew with them');
    const planner = this.get(model);
    planner?.countCopies().then(
      () => this.#announceSmallest(planner),
      (error: unknown) => this.#report(model, error),
    );
  }

  async #open(): Promise<void> {
    const { configs, models, engine, store, log } = this.#options;
    const profile = readProfile(store);
    if (profile === undefined)
      log.info('the built-in costs are those of another machine; mafat calibrate measures this one');
    for (const config of configs) {
      const network = await openModel(models, config.name, { executor: async () => engine.executor() });
      const known = { store, ...(profile === undefined ? {} : { profile }) };
      this.#planners.set(config.name, new ModelPlanner(network, config, known));
    }
  }

  async #findSmallest(planner: ModelPlanner): Promise<void> {
    try {
      await planner.start();
      this.#announceSmallest(planner);
    } catch (error) {
      this.#report(planner.name, error);
    }
  }

  #announceSmallest({ name: model, smallestBytes }: ModelPlanner): void {
    if (!this.#isStopped) this.#options.hub.publish({ kind: 'smallest-known', model, smallestBytes });
  }

  async #adapt(planner: ModelPlanner, budget: BoundBytes): Promise<void> {
    const before = planner.pressure;
    try {
      const planning = planner.adapt(budget.bytes, { steadyMs: performance.now(), wallMs: Date.now() });
      this.#announcePressure(planner, before);
      const change = await planning;
      if (change === undefined || this.#isStopped) return;
      const { plan, origin } = change;
      this.#options.engine.setPlan(planner.network, plan);
      const { notation, settings, predicted } = plan;
      const about = { model: planner.name, notation, settings, origin, budget, predicted };
      this.#options.hub.publish({ kind: 'plan-changed', ...about });
    } catch (error) {
      this.#report(planner.name, error);
    }
  }

  /** `adapt` decides the pressure before its first wait. */
  #announcePressure({ name, pressure }: ModelPlanner, from: ModelPlanner['pressure']): void {
    if (pressure !== from) this.#options.hub.publish({ kind: 'pressure', model: name, from, to: pressure });
  }

  /** A search that ends because the agent does is no fault. */
  #report(model: string, error: unknown): void {
    if (!this.#isStopped) this.#options.log.error({ model, error: String(error) }, NO_NEW_PLAN);
  }
}
