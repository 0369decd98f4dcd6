/** Compares the executor's private memory with what the plan in force promised. */
import type { ServiceAgent } from './service-agent.js';
import type { ServiceClient } from './service-client.js';

/** Time after a change of plan in which the former promise holds, if it is larger. */
const CHANGE_MS = 1000;

export interface PromiseSample {
  /** Notation of the plan in force. */
  readonly plan: string;
  /** Working memory that it promised. */
  readonly promisedBytes: number;
  /** Private memory above idle. */
  readonly measuredBytes: number;
}

/** Follows the plan in force, and how far memory is over its promise. */
export class PromiseWatch {
  #current = { plan: 'none', promisedBytes: 0, sinceMs: 0 };
  #formerBytes = 0;
  #worst: PromiseSample = { plan: 'none', promisedBytes: 0, measuredBytes: Number.NEGATIVE_INFINITY };
  #mostBytes = 0;

  /** Takes a sample, once the agent has said its plan and the idle executor's memory. */
  sample(client: ServiceClient, agent: ServiceAgent): void {
    const plan = client.info?.models[0]?.plan;
    const idleBytes = client.health?.executor.idleBytes ?? 0;
    if (plan === undefined || plan === null || idleBytes === 0) return;
    this.#follow(plan.notation, plan.predicted.workingBytes);
    const { plan: notation, promisedBytes: newBytes, sinceMs } = this.#current;
    const isNew = performance.now() - sinceMs < CHANGE_MS;
    const promisedBytes = isNew ? Math.max(newBytes, this.#formerBytes) : newBytes;
    const { executorBytes, executors } = agent.memory();
    const measuredBytes = executorBytes - executors * idleBytes;
    this.#mostBytes = Math.max(this.#mostBytes, measuredBytes);
    if (measuredBytes - promisedBytes > this.#worst.measuredBytes - this.#worst.promisedBytes)
      this.#worst = { plan: notation, promisedBytes, measuredBytes };
  }

  /** The sample that was furthest over its promise. */
  get worst(): PromiseSample {
    return this.#worst;
  }

  /** Most private memory above idle. */
  get mostBytes(): number {
    return this.#mostBytes;
  }

  #follow(plan: string, promisedBytes: number): void {
    if (plan === this.#current.plan && promisedBytes === this.#current.promisedBytes) return;
    this.#formerBytes = this.#current.promisedBytes;
    this.#current = { plan, promisedBytes, sinceMs: performance.now() };
  }
}
