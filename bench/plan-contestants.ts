/** Contestants that run in mafat's executor by a plan. */

import { findAllocator } from '../agent/engine/allocator.js';
import { ModelOptimizer } from '../agent/engine/blocked/model-optimizer.js';
import { compilePlan } from '../agent/engine/compile/compile.js';
import { type ExecutorClient, startExecutor } from '../agent/engine/executor-client.js';
import type { ImageSource, OutputTensor, Program } from '../agent/engine/wire/protocol.js';
import { inputShape } from '../agent/models/specialize.js';
import type { Network } from '../agent/planning/open-model.js';
import type { PlanRequest } from '../agent/planning/plan-network.js';
import { planNetwork } from '../agent/planning/plan-network.js';
import { STRATEGIES } from '../agent/planning/strategies.js';
import { elementAt } from '../shared/graph/index.js';
import type { Plan } from '../shared/search/index.js';
import { BudgetError } from '../shared/search/index.js';
import type { Contestant, ContestantProcess } from './contestant.js';
import { DEADLINE_MS } from './contestant.js';
import { noiseInput } from './stock-input.js';

interface PlanSetting {
  readonly party: 'MAFAT' | 'ours';
  readonly plan: Plan;
  /** Images that runs take in turn. By default there is one, at the network's size, as a camera gives it. */
  readonly images?: readonly ImageSource[];
}

export function planContestant(
  network: Network,
  { party, plan, images = [noiseImage(network)] }: PlanSetting,
): Contestant {
  const { level, allocator } = plan.settings;
  const start = async () => {
    const { folder, graph, input } = network;
    const compiled = compilePlan(graph, plan, { folder, input });
    // As in service, weights are saved in the machine's order before the first turn.
    const program = await new ModelOptimizer({ startExecutor }).optimize(compiled);
    const executor = await startExecutor(findAllocator({ wanted: allocator }));
    return new ExecutorProcess(executor, { network, program, images });
  };
  return { party, name: `${plan.notation}, ${level}, ${allocator}`, start, level, plan };
}

function noiseImage({ input: { width, height } }: Network): ImageSource {
  const bytes = Uint8Array.from(noiseInput([width, height, 3]), (value) => value * 255);
  return { kind: 'pixels', name: 'noise', width, height, bytes };
}

interface ExecutorJob {
  readonly network: Network;
  readonly program: Program;
  readonly images: readonly ImageSource[];
}

/** Reading images and sending outputs isn't timed, but working memory includes it. */
class ExecutorProcess implements ContestantProcess {
  readonly pid: number;
  readonly idleBytes: number;
  readonly #executor: ExecutorClient;
  readonly #job: ExecutorJob;
  #runs = 0;

  constructor(executor: ExecutorClient, job: ExecutorJob) {
    this.pid = executor.pid;
    this.idleBytes = executor.idleBytes;
    this.#executor = executor;
    this.#job = job;
  }

  load = async (): Promise<void> => {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    await this.#executor.ask({ kind: 'load', program: this.#job.program }, { signal });
  };

  run = async (): Promise<number> => {
    const { images } = this.#job;
    const image = elementAt(images, this.#runs % images.length);
    this.#runs += 1;
    const signal = AbortSignal.timeout(DEADLINE_MS);
    return (await this.#executor.ask({ kind: 'run', image, outputs: 'values' }, { signal })).latencyMs;
  };

  check = async (): Promise<readonly OutputTensor[]> => {
    const shape = inputShape(this.#job.network.input);
    const bytes = new Uint8Array(noiseInput(shape).buffer);
    const image = { kind: 'tensor', dtype: 'float32', shape, bytes } as const;
    return (await this.#executor.ask({ kind: 'run', image, outputs: 'values' })).outputs;
  };

  stop = (): Promise<void> => this.#executor.stop();
}

interface PlanChoice {
  readonly threads: number;
  /** Budgets in bytes of working memory. Weights are evictable, as they are for stock ONNX Runtime. */
  readonly budgets: readonly number[];
  readonly notations: readonly string[];
  /** Receives the reason why a plan isn't run. */
  readonly onSkip: (reason: string) => void;
}

/** Plans of both searches at each budget, and plans by hand, each with its fastest settings. */
export function choosePlans(network: Network, choice: PlanChoice): readonly Contestant[] {
  const searched = [...STRATEGIES.keys()].flatMap((strategy) =>
    choice.budgets.map((budgetBytes) => ({ strategy, budgetBytes })),
  );
  const byHand = choice.notations.map((notation) => ({ strategy: 'mafat', notation, budgetBytes: 0 }));
  const contestants = [...searched, ...byHand].flatMap((wish) => contestantFor(network, wish, choice) ?? []);
  return mergeSame(contestants);
}

/** Merges contestants of the same plan, so that a plan chosen at several budgets runs once. */
function mergeSame(contestants: readonly Contestant[]): readonly Contestant[] {
  const merged = new Map<string, Contestant>();
  for (const contestant of contestants) {
    const key = `${contestant.party} ${contestant.name}`;
    const budgets = [...(merged.get(key)?.budgets ?? []), ...(contestant.budgets ?? [])];
    merged.set(key, { ...contestant, budgets });
  }
  return [...merged.values()];
}

type PlanWish = Pick<PlanRequest, 'strategy' | 'notation' | 'budgetBytes'>;

function contestantFor(
  network: Network,
  wish: PlanWish,
  { threads, onSkip }: PlanChoice,
): Contestant | undefined {
  const party = wish.strategy === 'mafat' && wish.notation === undefined ? 'MAFAT' : 'ours';
  try {
    const plan = planNetwork(network, { ...wish, threads, weights: 'evictable' });
    const contestant = planContestant(network, { party, plan });
    return wish.notation === undefined ? { ...contestant, budgets: [wish.budgetBytes] } : contestant;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const budget = error instanceof BudgetError ? ` by ${wish.strategy}` : '';
    onSkip(`${network.name}: ${error.message}${budget}`);
    return undefined;
  }
}
