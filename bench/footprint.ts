/**
 * Measures what the whole service takes while it runs for minutes, idle and under load. Beside it stand mosquitto and a
 * program in C++ that runs the same network on OpenCV.
 *
 *     node dist/bench/footprint.js [--minutes 10] [--json FILE]
 *
 * 1. Idle: the agent without models; mosquitto without clients.
 * 2. Under load: the agent with YOLOv2-tiny, a synthetic camera at 2 frames a second, one
 *    JPEG request a second over its broker, and SQLite. OpenCV runs 2 frames a second of the same network.
 *
 * The processes of one part run at the same time, OpenCV after them. Private memory is RssAnon + VmSwap. PSS counts a
 * shared page by shares. The column "cgroup" is what is charged to a memory cgroup with all processes of the row, the page
 * cache included; only root can measure it. Samples are taken once in 200 ms, after a first half minute.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readProcessMemory, readPss } from '../agent/board/process-memory.js';
import { withContext } from '../agent/cli/context.js';
import { parseCount } from '../agent/cli/parse-options.js';
import { formatBytes, formatTable, printLine } from '../agent/cli/print.js';
import { elementAt, present } from '../shared/graph/index.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, optionOf } from './bench-options.js';
import { MemoryGroup } from './cgroup.js';
import { DEADLINE_MS } from './contestant.js';
import { drawImage } from './draw-image.js';
import { findNetwork } from './networks.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';
import { ServiceAgent } from './service-agent.js';
import { ServiceClient } from './service-client.js';
import { YOLO_TINY } from './service-networks.js';
import { freePort } from './service-port.js';
import { childrenOf, isExecutor } from './service-processes.js';
import { prepareRival } from './service-rival.js';
import { LineProgram } from './stock-client.js';

const FPS = 2;
const REQUEST_MS = 1000;
const SAMPLE_MS = 200;
const WARM_MS = 30_000;

const KINDS = ['private', 'PSS', 'cgroup'] as const;
type Kind = (typeof KINDS)[number];

interface Flags extends OutputFlags {
  readonly minutes: number;
}

/** Some processes whose memory is one row of the table. */
interface Subject {
  readonly name: string;
  readonly pids: () => readonly number[];
  readonly group?: MemoryGroup | undefined;
}

/** Samples of a subject in bytes, by kind. */
type Samples = Readonly<Record<Kind, number[]>>;

interface FootprintRow {
  readonly name: string;
  readonly kind: Kind;
  readonly medianBytes: number;
  readonly p95Bytes: number;
  readonly p99Bytes: number;
  readonly mostBytes: number;
}

/** Samples all subjects for some time. */
async function watch(
  subjects: readonly Subject[],
  { minutes, signal }: { readonly minutes: number; readonly signal: AbortSignal },
): Promise<readonly FootprintRow[]> {
  const samples = subjects.map((): Samples => ({ private: [], PSS: [], cgroup: [] }));
  await sleep(WARM_MS, undefined, { signal });
  const untilMs = performance.now() + minutes * 60_000;
  while (performance.now() < untilMs) {
    for (const [at, subject] of subjects.entries()) sample(subject, elementAt(samples, at));
    await sleep(SAMPLE_MS, undefined, { signal });
  }
  return subjects.flatMap(({ name }, at) => rowsOf(name, elementAt(samples, at)));
}

function sample({ pids, group }: Subject, samples: Samples): void {
  const memories = pids().flatMap(memoryOf);
  if (memories.length === 0) return;
  samples.private.push(memories.reduce((sum, { privateBytes }) => sum + privateBytes, 0));
  samples.PSS.push(memories.reduce((sum, { pssBytes }) => sum + pssBytes, 0));
  if (group !== undefined) samples.cgroup.push(group.usageBytes());
}

/** Memory of a process. It is empty if the process has gone. */
function memoryOf(pid: number): readonly { readonly privateBytes: number; readonly pssBytes: number }[] {
  try {
    const { rssAnonBytes, swapBytes } = readProcessMemory(pid);
    return [{ privateBytes: rssAnonBytes + swapBytes, pssBytes: readPss(pid) ?? 0 }];
  } catch {
    return [];
  }
}

function rowsOf(name: string, samples: Samples): readonly FootprintRow[] {
  return KINDS.flatMap((kind) => {
    const sorted = samples[kind].toSorted((a, b) => a - b);
    if (sorted.length === 0) return [];
    const at = (part: number) => elementAt(sorted, Math.ceil(part * sorted.length) - 1);
    return [{ name, kind, medianBytes: at(0.5), p95Bytes: at(0.95), p99Bytes: at(0.99), mostBytes: at(1) }];
  });
}

/** A group, if this user may make one. */
function makeGroup(name: string): MemoryGroup | undefined {
  try {
    return MemoryGroup.create(`mafat-footprint-${name}-${process.pid}`);
  } catch (error) {
    printLine(`cgroups are left out: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** Starts an agent in a group of its own. */
async function startAgent(folder: string, models: readonly string[], signal: AbortSignal) {
  const group = makeGroup(models.length === 0 ? 'idle' : 'load');
  const cameras = models.map((model) => ({ model, fps: FPS }));
  const agent = await ServiceAgent.start({ folder, models, cameras, signal, ...(group && { group }) });
  await agent.listening();
  const executors = () => childrenOf(agent.pid).filter(isExecutor);
  const stop = async () => {
    await agent.stop();
    await group?.remove();
  };
  return { agent, group, executors, stop };
}

/** Starts mosquitto on a port of its own. @returns undefined if it isn't installed. */
async function startMosquitto(folder: string) {
  const group = makeGroup('mosquitto');
  const command = `${group === undefined ? '' : `echo $$ > '${group.processesFile}' && `}exec mosquitto -p "$0"`;
  const child = spawn('/bin/sh', ['-c', command, String(await freePort())], { cwd: folder, stdio: 'ignore' });
  await sleep(500);
  if (child.exitCode !== null) {
    printLine("mosquitto is left out, since it isn't installed");
    await group?.remove();
    return undefined;
  }
  const stop = async () => {
    child.kill();
    await group?.remove();
  };
  const subject: Subject = { name: 'mosquitto, idle', pids: () => [present(child.pid, 'process id')], group };
  return { subject, stop };
}

interface Place {
  readonly folder: string;
  readonly minutes: number;
  readonly signal: AbortSignal;
}

async function measureService({ folder, ...watching }: Place): Promise<readonly FootprintRow[]> {
  const { signal } = watching;
  const idleFolder = join(folder, 'idle');
  await mkdir(idleFolder, { recursive: true });
  await YOLO_TINY.save(join(folder, 'load'));
  const image = readFileSync(await drawImage(join(folder, 'shapes.jpg')));
  const mosquitto = await startMosquitto(folder);
  const idle = await startAgent(idleFolder, [], signal);
  const load = await startAgent(join(folder, 'load'), [YOLO_TINY.name], signal);
  const client = new ServiceClient(load.agent.server);
  await client.connected(() => load.agent.end !== undefined);
  const timer = setInterval(() => void client.ask(YOLO_TINY.name, image), REQUEST_MS);
  const subjects: readonly Subject[] = [
    { name: 'agent without models', pids: () => [idle.agent.pid], group: idle.group },
    { name: 'agent under load', pids: () => [load.agent.pid] },
    { name: 'executor under load', pids: load.executors },
    { name: 'service under load', pids: () => [load.agent.pid, ...load.executors()], group: load.group },
    ...(mosquitto === undefined ? [] : [mosquitto.subject]),
  ];
  try {
    const rows = await watch(subjects, watching);
    const { executor } = present(client.health, "the agent's report of health");
    printLine(
      `executor, idle: ${formatBytes(executor.idleBytes ?? 0)}; inferences: ${client.inferences}, refused: ${client.refused}`,
    );
    return rows;
  } finally {
    clearInterval(timer);
    await client.stop();
    for (const started of [load, idle, mosquitto]) await started?.stop();
    await rm(join(folder, 'load'), { recursive: true });
  }
}

async function measureRival({ folder, ...watching }: Place): Promise<readonly FootprintRow[]> {
  const rival = await prepareRival(findNetwork('yolov2-tiny-416'), join(folder, 'opencv'));
  if (rival === undefined) return [];
  const group = makeGroup('opencv');
  const joining = group === undefined ? '' : `echo $$ > '${group.processesFile}' && `;
  const { command, args, env } = rival.program;
  const program = await LineProgram.start({
    command: '/bin/sh',
    args: ['-c', `${joining}exec "$0" "$@"`, command, ...args],
    env,
  });
  await program.ask({ ask: 'load' }, DEADLINE_MS);
  const ending = new AbortController();
  const running = (async () => {
    while (!ending.signal.aborted) {
      const { latencyMs = 0 } = await program.ask({ ask: 'run' }, DEADLINE_MS);
      await sleep(Math.max(0, 1000 / FPS - latencyMs));
    }
  })();
  try {
    return await watch([{ name: 'OpenCV in C++ under load', pids: () => [program.pid], group }], watching);
  } finally {
    ending.abort();
    await running;
    await program.stop();
    await group?.remove();
  }
}

function printRows(rows: readonly FootprintRow[]): void {
  const cells = rows.map(({ name, kind, medianBytes, p95Bytes, p99Bytes, mostBytes }) => [
    name,
    kind,
    ...[medianBytes, p95Bytes, p99Bytes, mostBytes].map(formatBytes),
  ]);
  printLine(formatTable(['process', 'memory', 'median', 'p95', 'p99', 'maximum'], cells));
}

async function main(): Promise<void> {
  const flags = benchCommand('footprint', 'Measures what the whole service takes while it runs for minutes.')
    .addOption(
      optionOf('--minutes <number>', 'time of each of both parts', { parse: parseCount, fallback: '10' }),
    )
    .addOption(jsonOption())
    .parse()
    .opts<Flags>();
  const rows = await withBenchFolder((folder) =>
    withContext('footprint', async ({ signal }) => {
      const place = { folder, minutes: flags.minutes, signal };
      return [...(await measureService(place)), ...(await measureRival(place))];
    }),
  );
  printRows(rows);
  await writeResults(flags, { figures: rows, panels: [] });
}

await runBench(main);
