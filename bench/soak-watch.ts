/** Looks at the agent once a second: its memory from outside, and its reports of health for frames that were lost. */
import type { NodeHealth } from '../shared/wire/index.js';
import type { LoopLagFigures } from './loop-lag-probe.js';
import { readLoopLag } from './loop-lag-probe.js';
import type { ServiceAgent } from './service-agent.js';
import { waitedMsOf } from './service-processes.js';
import type { RequestCounts } from './soak-client.js';
import type { TroubleCounts } from './soak-troubles.js';

/** One row of the CSV. */
export interface SoakSample {
  readonly seconds: number;
  readonly agentBytes: number;
  readonly executorBytes: number;
  readonly executors: number;
  readonly eatenBytes: number;
  readonly budgetBytes: number;
  readonly pressure: string;
  readonly plan: string;
  readonly executorKills: number;
  readonly brokerRestarts: number;
  readonly framesCaptured: number;
  readonly framesProcessed: number;
  readonly framesSkipped: number;
  readonly framesFailed: number;
  readonly requestsAnswered: number;
  readonly requestsRefused: number;
  readonly requestsCut: number;
  readonly requestsLost: number;
  readonly loopLagP99Ms: number;
  /** Time that the agent's main thread waited for a processor since its start. */
  readonly agentWaitedMs: number;
}

export interface WatchSources {
  readonly agent: ServiceAgent;
  readonly health: () => NodeHealth | undefined;
  readonly requests: RequestCounts;
  readonly troubles: TroubleCounts;
  readonly lagFile: string;
}

type Camera = NodeHealth['cameras'][number];

export class SoakWatch {
  readonly #sources: WatchSources;
  readonly #startedMs = performance.now();
  readonly samples: SoakSample[] = [];
  /** Reports of health by which frames were missing. */
  readonly faults = new Set<string>();
  lag: LoopLagFigures | undefined;

  constructor(sources: WatchSources) {
    this.#sources = sources;
  }

  look(): void {
    const { agent, health, requests, troubles, lagFile } = this.#sources;
    this.lag = readLoopLag(lagFile) ?? this.lag;
    const now = health();
    for (const camera of now?.cameras ?? []) this.#check(camera);
    const [model] = now?.models ?? [];
    const { agentBytes, executorBytes, executors } = agent.memory();
    const frames = (fate: 'captured' | 'processed' | 'skipped' | 'failed') =>
      (now?.cameras ?? []).reduce((sum, camera) => sum + camera[fate], 0);
    this.samples.push({
      seconds: Math.round((performance.now() - this.#startedMs) / 1000),
      agentBytes,
      executorBytes,
      executors,
      eatenBytes: Math.round(troubles.eatenBytes),
      budgetBytes: now?.budget.bytes ?? 0,
      pressure: model?.pressure ?? '',
      plan: model?.plan ?? '',
      executorKills: troubles.executorKills,
      brokerRestarts: troubles.brokerRestarts,
      framesCaptured: frames('captured'),
      framesProcessed: frames('processed'),
      framesSkipped: frames('skipped'),
      framesFailed: frames('failed'),
      requestsAnswered: requests.answered,
      requestsRefused: requests.refused,
      requestsCut: requests.cut,
      requestsLost: requests.lost,
      loopLagP99Ms: this.lag?.p99Ms ?? 0,
      agentWaitedMs: Math.round(waitedMsOf(agent.pid)),
    });
  }

  /** A frame was replaced or taken, or waits; a frame that was taken has met its fate, or runs. */
  #check({ name, captured, taken, replaced, processed, skipped, still, failed }: Camera): void {
    const waiting = captured - taken - replaced;
    const running = taken - processed - skipped - still - failed;
    if (waiting !== 0 && waiting !== 1) this.faults.add(`camera ${name}: ${waiting} frames wait`);
    if (running !== 0 && running !== 1) this.faults.add(`camera ${name}: ${running} frames run`);
  }
}

export function toCsv(samples: readonly SoakSample[]): string {
  const [first] = samples;
  if (first === undefined) return '';
  const rows = samples.map((sample) =>
    Object.values(sample)
      .map((value) => (typeof value === 'string' ? `"${value}"` : value))
      .join(','),
  );
  return `${[Object.keys(first).join(','), ...rows].join('\n')}\n`;
}
