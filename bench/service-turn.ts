/** One start of the service on a board of a given size, which is a memory cgroup without swap. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryGroup } from './cgroup.js';
import { ServiceAgent } from './service-agent.js';
import type { FrameEvent } from './service-client.js';
import { ServiceClient } from './service-client.js';

/** Longest time to the first answer with which the service counts as serving. */
export const FIRST_ANSWER_MS = 10_000;

/** Time after the last frame in which the service still counts as serving. */
const STILL_MS = 10_000;

const POLL_MS = 20;

export interface ServiceTurn {
  /** Time from the start to the first answer of each model that gave one. */
  readonly firstMs: Readonly<Record<string, number>>;
  /** Frames that were run, in order. */
  readonly frames: readonly (FrameEvent & { readonly atMs: number })[];
  /** Processes that the kernel killed for want of memory. */
  readonly kills: number;
  /** Most that was charged to the group, the page cache included. */
  readonly peakBytes: number | undefined;
  /** How the agent ended before its time. */
  readonly end: string | undefined;
  /** Reason why it doesn't count as serving. */
  readonly failure: string | undefined;
}

interface TurnOptions {
  readonly folder: string;
  readonly models: readonly string[];
  /** Frames a second of each model's camera. */
  readonly fps: number;
  readonly limitBytes: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

export async function takeServiceTurn(options: TurnOptions): Promise<ServiceTurn> {
  return onBoard(options.limitBytes, async (group) => {
    const { folder, models, fps, seconds, signal } = options;
    signal.throwIfAborted();
    const frames: (FrameEvent & { atMs: number })[] = [];
    const agent = await ServiceAgent.start({
      folder,
      models,
      cameras: models.map((model) => ({ model, fps })),
      group,
      signal,
    });
    const elapsedMs = () => performance.now() - agent.startedMs;
    await agent.listening();
    const client = new ServiceClient(agent.server, ({ model, latencyMs, plan }) =>
      frames.push({ model, latencyMs, plan, atMs: elapsedMs() }),
    );
    let kills = 0;
    while (agent.end === undefined && elapsedMs() < seconds * 1000) {
      kills = group.oomKills();
      await sleep(POLL_MS);
    }
    const end = agent.end;
    await client.stop();
    await agent.stop();
    const found = { frames, kills: Math.max(kills, group.oomKills()), peakBytes: group.peakBytes(), end };
    const firstMs = firstOf(frames);
    return { ...found, firstMs, failure: failureOf({ ...found, firstMs }, options) };
  });
}

/** Runs `work` with a memory cgroup of a size, without swap. */
export async function onBoard<T>(limitBytes: number, work: (group: MemoryGroup) => Promise<T>): Promise<T> {
  const group = MemoryGroup.create(`mafat-board-${process.pid}`);
  try {
    group.allowSwap(false);
    group.setLimit(limitBytes);
    return await work(group);
  } finally {
    await group.remove();
  }
}

function firstOf(frames: ServiceTurn['frames']): Readonly<Record<string, number>> {
  return Object.fromEntries(frames.toReversed().map(({ model, atMs }) => [model, atMs]));
}

function failureOf(
  { frames, kills, end, firstMs }: Omit<ServiceTurn, 'failure'>,
  { models, seconds }: TurnOptions,
): string | undefined {
  if (end !== undefined) return `the agent ended: ${end}`;
  if (kills > 0) return `${kills} OOM kills`;
  const late = models.find((model) => !((firstMs[model] ?? Number.POSITIVE_INFINITY) < FIRST_ANSWER_MS));
  if (late !== undefined) return `no answer of ${late} within ${FIRST_ANSWER_MS / 1000} s`;
  const lastMs = frames.at(-1)?.atMs ?? 0;
  return lastMs < seconds * 1000 - STILL_MS ? `no answer after ${(lastMs / 1000).toFixed(0)} s` : undefined;
}
