/**
 * The planners of all served models, as one feature: opens the models, has a first plan for each before requests
 * come, and hands every change of plan to the engine and to the event hub.
 */
import type { Logger } from 'pino';
import type { BoundBytes } from '../board/budget.js';
import type { ModelConfig } from '../config/config-schema.js';
import type { ExecutorLoss, InferenceEngine, MeasuredRun, PlanTerms } from '../engine/inference-engine.js';
import type { EventHub } from '../events/event-hub.js';
import type { ModelStore } from '../models/model-store.js';
import type { Store } from '../store/store.js';
import { readProfile } from './device-profiles.js';
import { FrontSearches } from './front-searches.js';
import { ModelPlanner } from './model-planner.js';
import type { Network } from './open-model.js';
import { openModel } from './open-model.js';
import type { FrontSummary } from './search.js';

export interface PlannersOptions {
  readonly configs: readonly ModelConfig[];
  readonly models: ModelStore;
  readonly store: Store;
  readonly engine: InferenceEngine;
  readonly hub: EventHub;
  readonly log: Logger;
  readonly watch: {
    /** Reads the budget now. */
    look(): BoundBytes;
    /** Whether tasks wait for memory. */
    readonly isStalled: boolean;
  };
}

/** Ends of an executor that its plan is to blame for. */
const KILLS: ReadonlySet<string> = new Set(['over-limit', 'out-of-memory', 'wrong']);

/** A model that can't be served. */
export interface ModelFailure {
  readonly name: string;
  readonly reason: string;
}

/** Time until a model that couldn't be opened is tried again: a disk may be mounted, an import may end. */
const REOPEN_MS = 60_000;

export class Planners {
  readonly #options: PlannersOptions;
  #configs: readonly ModelConfig[];
  readonly #planners = new Map<string, ModelPlanner>();
  readonly #searches: FrontSearches;
  readonly #failures = new Map<string, string>();
  readonly #reopening = new Map<string, NodeJS.Timeout>();
  #budget: BoundBytes = { bytes: 0, bound: 'nothing known' };
  #isStopped = false;

  constructor(options: PlannersOptions) {
    this.#options = options;
    this.#configs = options.configs;
    this.#searches = new FrontSearches({
      onFound: (name, front) => this.#adopt(name, front),
      onFailed: (model, error, retryMs) =>
        options.log.warn(
          { model, error: String(error), retryMs },
          'no front of plans yet; searching again later',
        ),
      roomBytes: () => this.#budget.bytes - Math.max(0, ...this.all.map(({ needBytes }) => needBytes)),
      lend: (work) => options.engine.lend(work),
    });
  }

  get all(): readonly ModelPlanner[] {
    return [...this.#planners.values()];
  }

  /** Of all models that were asked for, failed ones, too. */
  get names(): readonly string[] {
    return this.#configs.map(({ name }) => name);
  }

  get failures(): readonly ModelFailure[] {
    return [...this.#failures].map(([name, reason]) => ({ name, reason }));
  }

  get(name: string): ModelPlanner | undefined {
    return this.#planners.get(name);
  }

  /** Private memory of a search that runs, in bytes. It is the agent's own and soon gone. */
  get searchBytes(): number {
    return this.#searches.privateBytes;
  }

  /** Process id of the search that runs. */
  get searchPid(): number | undefined {
    return this.#searches.pid;
  }

  /** Opens the models, and has a plan for each. One that can't be opened fails alone, and is tried again. */
  async start(): Promise<void> {
    const { engine, watch } = this.#options;
    // Its idle memory is measured once.
    if (this.#configs.length > 0) await engine.executor();
    await this.#openAll();
    this.adapt(watch.look());
    for (const planner of this.all) if (planner.isProvisional) this.#searches.request(planner);
  }

  /** Takes over another list of models. Those that stay as they are go on without a break. */
  async configure(configs: readonly ModelConfig[]): Promise<void> {
    const former = new Map(this.#configs.map((config) => [config.name, config]));
    this.#configs = configs;
    for (const name of former.keys()) if (!this.names.includes(name)) this.#close(name);
    for (const config of configs) {
      if (this.#isStopped) return;
      const old = former.get(config.name);
      const planner = this.get(config.name);
      const isSame =
        JSON.stringify({ ...old, threshold: null }) === JSON.stringify({ ...config, threshold: null });
      if (isSame) planner?.setThreshold(config.threshold);
      else await this.#reopen(config);
    }
  }

  /** Searches that still run end. */
  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#reopening.values()) clearTimeout(timer);
    this.#searches.stop();
  }

  /** Looks at a new budget for each model. All plans that are due are in force when it returns. */
  adapt(budget: BoundBytes): void {
    this.#budget = budget;
    const needBytes = Math.max(0, ...this.all.map((planner) => planner.needBytes));
    if (budget.bytes - this.searchBytes < needBytes) this.#searches.yieldMemory();
    for (const planner of this.all) this.#adapt(planner);
  }

  /** A run was measured; a plan that takes more than it promised is left. */
  record(run: MeasuredRun): void {
    const planner = this.get(run.model);
    const correction = planner?.record(run);
    if (planner === undefined || correction === undefined) return;
    const { model, plan } = run;
    this.#options.hub.publish({ kind: 'plan-corrected', model, notation: plan.notation, ...correction });
    this.#options.engine.setTerms(model, this.#termsOf(planner));
    this.#adapt(planner);
  }

  /** An executor was lost. If it was for want of memory, its plan is left. */
  bar({ model, plan, error: { reason } }: ExecutorLoss): void {
    const planner = model === undefined ? undefined : this.get(model);
    if (planner === undefined || plan === undefined || !KILLS.has(reason)) return;
    const { bytes: budgetBytes } = this.#budget;
    planner.bar(plan, budgetBytes);
    const about = { model: planner.name, notation: plan.notation, budgetBytes, reason };
    this.#options.hub.publish({ kind: 'plan-barred', ...about });
    this.#adapt(planner);
  }

  /** The weights of a model are on the heap, for the given reason; its plans have to count them. */
  countCopies(model: string, reason: string): void {
    const planner = this.get(model);
    if (planner?.countCopies() !== true) return;
    this.#options.log.warn({ model, reason }, 'weights are copied to the heap; planning anew with them');
    this.#adapt(planner);
    if (planner.isProvisional) this.#searches.request(planner);
  }

  async #openAll(): Promise<void> {
    const { store, log } = this.#options;
    if (readProfile(store) === undefined)
      log.info('the built-in costs are those of another machine; mafat calibrate measures this one');
    for (const config of this.#configs) await this.#open(config);
  }

  /** Opens a model for the first time or anew. */
  async #open(config: ModelConfig): Promise<void> {
    const { models, engine, store, log } = this.#options;
    const { name } = config;
    this.#reopening.delete(name);
    const profile = readProfile(store);
    try {
      const network = await openModel(models, name, { executor: () => engine.executor() });
      const watched = { ...network, checkFiles: () => this.#checkFiles(network, config) };
      const planner = new ModelPlanner(watched, config, {
        store,
        ...(profile === undefined ? {} : { profile }),
      });
      planner.start();
      this.#planners.set(name, planner);
      this.#failures.delete(name);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#failures.get(name) !== reason)
        log.error({ model: name, reason }, 'model not served; trying again');
      this.#failures.set(name, reason);
      this.#openLater(config, REOPEN_MS);
    }
  }

  /** A model whose files were changed isn't served by what is in memory; it is opened anew. */
  #checkFiles({ checkFiles }: Network, config: ModelConfig): void {
    try {
      checkFiles();
    } catch (error) {
      this.#openLater(config, 0);
      throw error;
    }
  }

  #close(name: string): void {
    clearTimeout(this.#reopening.get(name));
    this.#reopening.delete(name);
    this.#failures.delete(name);
    this.#planners.delete(name);
    this.#options.engine.remove(name);
  }

  #openLater(config: ModelConfig, ms: number): void {
    if (this.#isStopped || this.#reopening.has(config.name)) return;
    const timer = setTimeout(() => void this.#reopen(this.#latest(config)), ms).unref();
    this.#reopening.set(config.name, timer);
  }

  /** The configuration may have changed since a model was to be opened anew. */
  #latest(config: ModelConfig): ModelConfig {
    return this.#configs.find(({ name }) => name === config.name) ?? config;
  }

  async #reopen(config: ModelConfig): Promise<void> {
    await this.#open(config);
    const planner = this.get(config.name);
    if (this.#isStopped || planner === undefined || this.#failures.has(config.name)) return;
    this.#options.log.info({ model: config.name }, 'model opened anew');
    this.#adapt(planner);
    if (planner.isProvisional) this.#searches.request(planner);
  }

  #adopt(name: string, front: FrontSummary): void {
    const planner = this.get(name);
    if (planner === undefined || this.#isStopped) return;
    planner.adopt(front);
    const { points, complete } = front;
    const { smallestBytes } = planner;
    this.#options.hub.publish({
      kind: 'front-known',
      model: name,
      plans: points.length,
      smallestBytes,
      complete,
    });
    this.#adapt(planner);
  }

  #termsOf({ memory, plan, config }: ModelPlanner): PlanTerms {
    const weightsBytes = config.weights === 'resident' ? (plan?.predicted.weightsBytes ?? 0) : 0;
    return { budgetBytes: this.#budget.bytes, promisedBytes: memory?.promisedBytes ?? 0, weightsBytes };
  }

  #adapt(planner: ModelPlanner): void {
    const { engine, hub, watch } = this.#options;
    const budget = this.#budget;
    const from = planner.pressure;
    const change = planner.adapt(budget.bytes, performance.now(), watch.isStalled);
    const { name: model, pressure: to } = planner;
    if (to !== from) hub.publish({ kind: 'pressure', model, from, to });
    if (change !== undefined) {
      const { plan, origin } = change;
      engine.setPlan(planner.network, plan, this.#termsOf(planner));
      const { notation, settings, predicted } = plan;
      hub.publish({ kind: 'plan-changed', model, notation, settings, origin, budget, predicted });
    }
    if (to === 'critical') engine.suspend(model);
    else engine.resume(model);
  }
}
