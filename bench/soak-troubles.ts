/** What the soak does to the agent at random moments. Each trouble comes again and again, until the soak ends. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BrokerProcess } from './broker-process.js';
import type { MemoryGroup } from './cgroup.js';
import { Neighbour } from './neighbour.js';
import type { ServiceAgent } from './service-agent.js';
import { childrenOf, isExecutor } from './service-processes.js';
import type { CameraStream } from './soak-cameras.js';

interface Range {
  readonly least: number;
  readonly most: number;
}

const SECOND = 1000;

/** Times between two troubles of one kind, and how long they last. */
const KILL_MS: Range = { least: 5 * SECOND, most: 60 * SECOND };
const RESTART_MS: Range = { least: 20 * SECOND, most: 120 * SECOND };
const AWAY_MS: Range = { least: 100, most: 5 * SECOND };
const SOURCE_MS: Range = { least: 30 * SECOND, most: 120 * SECOND };
const EATING_MS: Range = { least: 3 * SECOND, most: 30 * SECOND };
const RESTING_MS: Range = { least: 2 * SECOND, most: 20 * SECOND };

/** What the neighbour takes, in addition to Node.js itself. Some of it leaves no room for the smallest plan. */
const EATEN_BYTES: Range = { least: 16 * 2 ** 20, most: 216 * 2 ** 20 };

export interface TroubleCounts {
  executorKills: number;
  brokerRestarts: number;
  sourceStops: number;
  neighbours: number;
  /** Memory that a neighbour holds now. */
  eatenBytes: number;
}

export interface TroubleOptions {
  readonly agent: ServiceAgent;
  readonly broker: BrokerProcess | undefined;
  readonly stream: CameraStream | undefined;
  readonly group: MemoryGroup | undefined;
  readonly random: () => number;
}

export class Troubles {
  readonly #options: TroubleOptions;
  readonly #ending = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  readonly counts: TroubleCounts = {
    executorKills: 0,
    brokerRestarts: 0,
    sourceStops: 0,
    neighbours: 0,
    eatenBytes: 0,
  };

  constructor(options: TroubleOptions) {
    this.#options = options;
  }

  /** @param onError called if a trouble can't be made. */
  start(onError: (error: unknown) => void): void {
    const troubles = [
      this.#repeat(KILL_MS, () => this.#killExecutor()),
      this.#repeat(RESTART_MS, () => this.#restartBroker()),
      this.#repeat(SOURCE_MS, () => this.#stopSource()),
      this.#repeat(RESTING_MS, () => this.#feedNeighbour()),
    ];
    this.#running = Promise.all(troubles).catch(onError);
  }

  /** Ends the troubles that last. The broker is there afterwards. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #repeat(between: Range, trouble: () => Promise<void>): Promise<void> {
    while (await this.#pause(this.#within(between))) await trouble();
  }

  /** @returns false once the soak ends. */
  async #pause(ms: number): Promise<boolean> {
    const { signal } = this.#ending;
    return sleep(ms, true, { signal }).catch(() => false);
  }

  #within({ least, most }: Range): number {
    return least + this.#options.random() * (most - least);
  }

  async #killExecutor(): Promise<void> {
    const [pid] = childrenOf(this.#options.agent.pid).filter(isExecutor);
    if (pid === undefined) return;
    try {
      process.kill(pid, 'SIGKILL');
      this.counts.executorKills += 1;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  async #restartBroker(): Promise<void> {
    const { broker, random } = this.#options;
    if (broker === undefined) return;
    await broker.restart(this.#within(AWAY_MS), random() < 0.5 ? 'SIGKILL' : 'SIGTERM');
    this.counts.brokerRestarts += 1;
  }

  async #stopSource(): Promise<void> {
    const { stream } = this.#options;
    if (stream === undefined) return;
    await stream.interrupt(this.#within(AWAY_MS));
    this.counts.sourceStops += 1;
  }

  /** A neighbour comes, takes memory, holds it for some time, and ends. */
  async #feedNeighbour(): Promise<void> {
    const neighbour = new Neighbour(this.#options.group);
    const bytes = this.#within(EATEN_BYTES);
    neighbour.take(bytes);
    this.counts.neighbours += 1;
    this.counts.eatenBytes = bytes;
    await this.#pause(this.#within(EATING_MS));
    await neighbour.stop();
    this.counts.eatenBytes = 0;
  }
}
