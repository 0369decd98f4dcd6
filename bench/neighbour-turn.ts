/** One time that a neighbour takes the memory of the service, both in one memory cgroup. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryGroup } from './cgroup.js';
import { Neighbour } from './neighbour.js';
import type { WarmSetUp } from './warm-service.js';
import { WarmService } from './warm-service.js';

const LIMIT_BYTES = 512 * 2 ** 20;

/** Time in which the neighbour takes its memory. */
const TAKE_MS = 1000;
const TARGET_MS = 500;
const TARGET_SWAPPED_BYTES = 5 * 2 ** 20;

/** Room for the service, as a multiple of what it needs at least. */
const ROOM_RATIO = 1.2;

/** Time that is watched after the neighbour has begun. */
const WATCH_MS = 12_000;
const POLL_MS = 20;

export interface Repetition {
  readonly load: WarmSetUp['load'];
  readonly swap: boolean;
  readonly roomBytes: number;
  /** Private memory of agent and executor before. */
  readonly beforeBytes: number;
  /** Time from the end of that second until private memory was inside the room for good; undefined if it never was. */
  readonly settledMs: number | undefined;
  /** Time that counts as prompt. */
  readonly targetMs: number;
  readonly kills: number;
  /** Most of agent and executor that was swapped out. */
  readonly swappedBytes: number;
  /** Answers while the neighbour was there. */
  readonly answers: number;
  readonly failure: string | undefined;
}

interface Place extends Omit<WarmSetUp, 'group'> {
  /** Private memory may be swapped out. */
  readonly swap: boolean;
}

export async function repeatOnce(place: Place): Promise<Repetition> {
  place.signal.throwIfAborted();
  const parent = MemoryGroup.create(`mafat-neighbour-${process.pid}`);
  let service: WarmService | undefined;
  let neighbour: Neighbour | undefined;
  try {
    parent.allowSwap(place.swap);
    parent.setLimit(LIMIT_BYTES);
    service = await WarmService.start({ ...place, group: parent.makeChild('service') });
    neighbour = new Neighbour(parent.makeChild('neighbour'));
    return await watch(service, { neighbour, parent, place });
  } finally {
    await neighbour?.stop();
    await service?.stop();
    await parent.remove();
  }
}

interface Scene {
  readonly neighbour: Neighbour;
  readonly parent: MemoryGroup;
  readonly place: Place;
}

async function watch(service: WarmService, { neighbour, parent, place }: Scene): Promise<Repetition> {
  const roomBytes = ROOM_RATIO * service.needBytes;
  const before = {
    privateBytes: service.privateBytes,
    inferences: service.client.inferences,
    kills: parent.oomKills(),
  };
  const targetMs = Math.max(TARGET_MS, service.latencyMs);
  if (service.failure === undefined) neighbour.take(LIMIT_BYTES - roomBytes);
  const { outsideMs, swappedBytes } = await followMemory(service, roomBytes);
  if (place.load === 'idle' && service.failure === undefined) await service.ask();
  const found = {
    load: place.load,
    swap: place.swap,
    roomBytes,
    beforeBytes: before.privateBytes,
    settledMs: outsideMs < WATCH_MS - 2 * POLL_MS ? Math.max(0, outsideMs - TAKE_MS) : undefined,
    targetMs,
    kills: parent.oomKills() - before.kills,
    swappedBytes,
    answers: service.client.inferences - before.inferences,
  };
  return { ...found, failure: service.failure ?? failureOf(found) };
}

/** Until when private memory was over the room, and most of what was swapped out. */
async function followMemory(service: WarmService, roomBytes: number) {
  const startMs = performance.now();
  let [outsideMs, swappedBytes] = [0, 0];
  for (let nowMs = 0; nowMs < WATCH_MS && service.failure === undefined; ) {
    await sleep(POLL_MS);
    nowMs = performance.now() - startMs;
    if (service.privateBytes > roomBytes) outsideMs = nowMs;
    swappedBytes = Math.max(swappedBytes, service.agent.memory().swappedBytes);
  }
  return { outsideMs, swappedBytes };
}

function failureOf({
  settledMs,
  targetMs,
  kills,
  swappedBytes,
  answers,
}: Omit<Repetition, 'failure'>): string | undefined {
  if (kills > 0) return `${kills} OOM kills`;
  if (settledMs === undefined) return 'never inside';
  if (settledMs > targetMs) return 'late';
  if (swappedBytes >= TARGET_SWAPPED_BYTES) return 'swapped';
  return answers === 0 ? 'no answer' : undefined;
}
