/**
 * Measures how the service gives way to a neighbour. Both are in one memory cgroup of 512 MB. Within a second the neighbour
 * takes all but what the service needs at least, plus 20 %: its smallest plan, the agent and the idle executor.
 *
 *     sudo node dist/bench/service-neighbour.js [--repetitions 10] [--quick] [--json FILE]
 *
 * It is done with swap and without, with a camera that runs and with a model that is idle. Each repetition is a new start of
 * the agent in the same state folder. The network is YOLOv2's first 16 layers. A repetition is met if private memory is
 * inside the new room within 500 ms or one frame after that second, the kernel kills nothing, and less than 5 MB of the
 * service are swapped out. The exit code is 1 if one isn't met. A machine without swap gets a file for the time.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseCount } from '../agent/cli/parse-options.js';
import { formatBytes, formatMs, formatTable, printLine } from '../agent/cli/print.js';
import { present } from '../shared/graph/index.js';
import { median } from '../shared/predict/index.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, optionOf } from './bench-options.js';
import { MemoryGroup } from './cgroup.js';
import { ensureSwap } from './cgroup-swap.js';
import { drawImage } from './draw-image.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';
import { ServiceAgent } from './service-agent.js';
import { ServiceClient } from './service-client.js';
import { YOLO_START } from './service-networks.js';

const LIMIT_BYTES = 512 * 2 ** 20;
const SWAP_BYTES = 2 ** 31;
const FPS = 2;

/** Time in which the neighbour takes its memory. */
const TAKE_MS = 1000;
const TARGET_MS = 500;
const TARGET_SWAPPED_BYTES = 5 * 2 ** 20;

/** Room for the service, as a multiple of what it needs at least. */
const ROOM_RATIO = 1.2;

/** Time that is watched after the neighbour has begun. */
const WATCH_MS = 12_000;
const POLL_MS = 20;

/** Longest time to the first answers and until the smallest plan is known. */
const WARM_MS = 60_000;
const WARM_ANSWERS = 4;

const QUICK_REPETITIONS = 2;

type Load = 'camera' | 'idle';

interface Repetition {
  readonly load: Load;
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

interface Flags extends OutputFlags {
  readonly repetitions: number;
  readonly quick?: boolean;
}

function readFlags(): Flags {
  const flags = benchCommand('service-neighbour', 'Measures how the service gives way to a neighbour.')
    .addOption(
      optionOf('--repetitions <number>', 'repetitions of each case', { parse: parseCount, fallback: '10' }),
    )
    .option('--quick', `${QUICK_REPETITIONS} repetitions of each case`)
    .addOption(jsonOption())
    .parse()
    .opts<Flags>();
  return flags.quick === true ? { ...flags, repetitions: QUICK_REPETITIONS } : flags;
}

/** A process in the group. The kernel spares it, where its score may be lowered; else it may be killed itself. */
class Neighbour {
  readonly #child = fork(fileURLToPath(new URL('./neighbour-process.js', import.meta.url)));

  constructor(group: MemoryGroup) {
    const pid = present(this.#child.pid, 'process id of the neighbour');
    try {
      writeFileSync(`/proc/${pid}/oom_score_adj`, '-1000');
    } catch (error) {
      // In a container root may lack CAP_SYS_RESOURCE.
      if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    }
    group.add(pid);
  }

  take(bytes: number): void {
    this.#child.send(bytes);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}

/** The agent, warm, and the client that knows it. */
class WarmService {
  readonly agent: ServiceAgent;
  readonly client: ServiceClient;
  readonly #image: Uint8Array;
  #frames = 0;
  #latencyMs = 0;

  private constructor(agent: ServiceAgent, image: Uint8Array) {
    this.agent = agent;
    this.#image = image;
    this.client = new ServiceClient(agent.server, ({ latencyMs }) => {
      this.#frames += 1;
      this.#latencyMs = latencyMs;
    });
  }

  static async start({ folder, image, load, group }: Place & { group: MemoryGroup }): Promise<WarmService> {
    const cameras = load === 'camera' ? [{ model: YOLO_START.name, fps: FPS }] : [];
    const agent = await ServiceAgent.start({ folder, models: [YOLO_START.name], cameras, group });
    await agent.listening();
    const service = new WarmService(agent, image);
    await service.#warm(load);
    return service;
  }

  /** Frames and requests that were run. */
  get answers(): number {
    return this.#frames + this.client.counts.ran;
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

  ask(): Promise<void> {
    return this.client.ask(YOLO_START.name, this.#image);
  }

  async stop(): Promise<void> {
    await this.client.stop();
    await this.agent.stop();
  }

  /** @throws {Error} if the service doesn't come up. */
  async #warm(load: Load): Promise<void> {
    await this.client.connected(() => this.agent.end !== undefined);
    const untilMs = performance.now() + WARM_MS;
    while (this.answers < WARM_ANSWERS || this.needBytes === 0) {
      if (this.agent.end !== undefined) throw new Error(`the agent ended: ${this.agent.end}`);
      if (performance.now() > untilMs) throw new Error('the service did not come up');
      await (load === 'idle' ? this.ask() : sleep(POLL_MS));
    }
  }
}

interface Place {
  readonly folder: string;
  readonly image: Uint8Array;
  readonly load: Load;
  readonly swap: boolean;
}

async function repeatOnce(place: Place): Promise<Repetition> {
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
  const [beforeBytes, answersBefore, killsBefore] = [
    service.privateBytes,
    service.answers,
    parent.oomKills(),
  ];
  const targetMs = Math.max(TARGET_MS, service.latencyMs);
  neighbour.take(LIMIT_BYTES - roomBytes);
  const startMs = performance.now();
  let [outsideMs, swappedBytes] = [0, 0];
  while (performance.now() - startMs < WATCH_MS) {
    await sleep(POLL_MS);
    if (service.privateBytes > roomBytes) outsideMs = performance.now() - startMs;
    swappedBytes = Math.max(swappedBytes, service.agent.memory().swappedBytes);
  }
  if (place.load === 'idle' && service.agent.end === undefined) await service.ask();
  const hasSettled = outsideMs < WATCH_MS - 2 * POLL_MS;
  const found = {
    load: place.load,
    swap: place.swap,
    roomBytes,
    beforeBytes,
    settledMs: hasSettled ? Math.max(0, outsideMs - TAKE_MS) : undefined,
    targetMs,
    kills: parent.oomKills() - killsBefore,
    swappedBytes,
    answers: service.answers - answersBefore,
  };
  return { ...found, failure: failureOf(found, service.agent.end) };
}

function failureOf(
  { settledMs, targetMs, kills, swappedBytes, answers }: Omit<Repetition, 'failure'>,
  end: string | undefined,
): string | undefined {
  if (end !== undefined) return `the agent ended: ${end}`;
  if (kills > 0) return `${kills} OOM kills`;
  if (settledMs === undefined) return 'never inside';
  if (settledMs > targetMs) return 'late';
  if (swappedBytes >= TARGET_SWAPPED_BYTES) return 'swapped';
  return answers === 0 ? 'no answer' : undefined;
}

const HEADER = ['swap', 'load', 'before', 'room', 'inside after', 'kills', 'swapped', 'answers', 'verdict'];

function cellsOf(row: Repetition): readonly string[] {
  const { swap, load, beforeBytes, roomBytes, settledMs, kills, swappedBytes, answers, failure } = row;
  return [
    swap ? 'yes' : 'no',
    load,
    formatBytes(beforeBytes),
    formatBytes(roomBytes),
    settledMs === undefined ? '-' : formatMs(settledMs),
    String(kills),
    formatBytes(swappedBytes),
    String(answers),
    failure ?? 'met',
  ];
}

function printSummary(rows: readonly Repetition[]): void {
  for (const swap of [true, false]) {
    for (const load of ['camera', 'idle'] as const) {
      const here = rows.filter((row) => row.swap === swap && row.load === load);
      if (here.length === 0) continue;
      const met = here.filter(({ failure }) => failure === undefined).length;
      const times = here.map(({ settledMs }) => settledMs ?? Number.POSITIVE_INFINITY);
      const inside = Number.isFinite(median(times)) ? formatMs(median(times)) : 'never';
      printLine(
        `${swap ? 'with' : 'without'} swap, ${load}: ${met} of ${here.length} met, inside after ${inside} (median)`,
      );
    }
  }
}

/** Cases with swap are left out where there can't be any. */
async function repeatAll(folder: string, repetitions: number): Promise<readonly Repetition[]> {
  await YOLO_START.save(folder);
  const image = readFileSync(await drawImage(join(folder, 'shapes.jpg')));
  const swapFile = await ensureSwap(SWAP_BYTES);
  printLine(`swap: ${swapFile.description}`);
  const hasSwap = !swapFile.description.startsWith('none');
  const rows: Repetition[] = [];
  try {
    for (const swap of hasSwap ? [true, false] : [false]) {
      for (const load of ['camera', 'idle'] as const) {
        for (let left = repetitions; left > 0; left -= 1) {
          const row = await repeatOnce({ folder, image, load, swap });
          rows.push(row);
          printLine(cellsOf(row).join('  '));
        }
      }
    }
  } finally {
    await swapFile.remove();
  }
  return rows;
}

async function main(): Promise<void> {
  const flags = readFlags();
  const rows = await withBenchFolder((folder) => repeatAll(folder, flags.repetitions));
  printLine();
  printLine(formatTable(HEADER, rows.map(cellsOf)));
  printSummary(rows);
  await writeResults(flags, { figures: rows, panels: [] });
  if (rows.some(({ failure }) => failure !== undefined)) process.exitCode = 1;
}

await runBench(main);
