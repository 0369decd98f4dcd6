/** The agent with one model that has answered, and its client. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MemoryGroup } from './cgroup.js';
import { ServiceAgent } from './service-agent.js';
import { ServiceClient } from './service-client.js';
import { YOLO_START } from './service-networks.js';

const FPS = 2;
const POLL_MS = 20;

/** Longest time to the first answers and until the smallest plan is known. */
const WARM_MS = 60_000;
const WARM_ANSWERS = 4;

/** `camera`: frames come all the time. `idle`: nothing comes after the first requests. */
export type Load = 'camera' | 'idle';

export interface WarmSetUp {
  readonly folder: string;
  readonly image: Uint8Array;
  readonly load: Load;
  readonly group: MemoryGroup;
  readonly signal: AbortSignal;
}

export class WarmService {
  readonly agent: ServiceAgent;
  readonly client: ServiceClient;
  readonly #image: Uint8Array;
  #latencyMs = 0;
  #failure: string | undefined;

  private constructor(agent: ServiceAgent, image: Uint8Array) {
    this.agent = agent;
    this.#image = image;
    this.client = new ServiceClient(agent.server, ({ latencyMs }) => {
      this.#latencyMs = latencyMs;
    });
  }

  static async start({ image, load, ...setUp }: WarmSetUp): Promise<WarmService> {
    const cameras = load === 'camera' ? [{ model: YOLO_START.name, fps: FPS }] : [];
    const agent = await ServiceAgent.start({ ...setUp, models: [YOLO_START.name], cameras });
    await agent.listening();
    const service = new WarmService(agent, image);
    service.#failure = await service.#warm(load);
    return service;
  }

  /** Reason why the service doesn't serve; undefined if it does. */
  get failure(): string | undefined {
    return this.agent.end === undefined ? this.#failure : `the agent ended: ${this.agent.end}`;
  }

  /** Latency of the last frame; 0 if there was none. */
  get latencyMs(): number {
    return this.#latencyMs;
  }

  /** Least that the service needs in all; 0 until it is known. */
  get needBytes(): number {
    const smallestBytes = this.client.info?.models[0]?.smallestBytes ?? 0;
    const idleBytes = this.client.health?.executor.idleBytes ?? 0;
    const isKnown = smallestBytes > 0 && idleBytes > 0;
    return isKnown ? smallestBytes + idleBytes + this.agent.memory().agentBytes : 0;
  }

  get privateBytes(): number {
    const { agentBytes, executorBytes } = this.agent.memory();
    return agentBytes + executorBytes;
  }

  async ask(): Promise<void> {
    await this.client.ask(YOLO_START.name, this.#image);
  }

  async stop(): Promise<void> {
    await this.client.stop();
    await this.agent.stop();
  }

  /** Waits for the first answers and for the smallest plan. @returns the reason if they don't come. */
  async #warm(load: Load): Promise<string | undefined> {
    await this.client.connected(() => this.agent.end !== undefined);
    const untilMs = performance.now() + WARM_MS;
    while (this.client.inferences < WARM_ANSWERS || this.needBytes === 0) {
      if (this.agent.end !== undefined || performance.now() > untilMs) return 'the service did not come up';
      await (load === 'idle' ? this.ask() : sleep(POLL_MS));
    }
    return undefined;
  }
}
