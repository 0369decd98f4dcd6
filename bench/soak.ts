/**
 * Troubles the agent for as long as told and counts what is lost. docs/benchmarks.md, "Soak", has figures.
 *
 *     node dist/bench/soak.js [--minutes 3] [--seed 1] [--json FILE] [--csv FILE] [--log FILE]
 *
 * The agent serves the demo's network to two cameras, and over MQTT to three clients that ask all the time; one of them asks
 * for more at once than it may. At random moments its executor is killed, its broker (mosquitto) is restarted, and a
 * neighbour takes memory and gives it back. Agent and neighbour share a memory cgroup where one can be made; else the
 * neighbour takes memory that the agent hardly misses. Without mosquitto the embedded broker serves and isn't restarted.
 *
 * Bars: no request lost, no frame lost or failed, one agent from start to end, private memory of agent and executor that
 * doesn't grow by more than a megabyte an hour over the last two thirds of the time, and event-loop lag. A request that was
 * on its way when the broker ended is asked again, and counts as cut, not as lost. A slope has an error, which is large for
 * short runs: the bar is missed if the slope is above it by more than two errors. Other work on the machine adds to the lag.
 */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InvalidArgumentError } from 'commander';
import { withContext } from '../agent/cli/context.js';
import { parseSeed } from '../agent/cli/parse-options.js';
import { printLine } from '../agent/cli/print.js';
import { startProgress } from '../agent/cli/progress.js';
import { DEMO_MODEL, makeDemoModel } from '../demo/demo-model.js';
import { mulberry32 } from '../shared/darknet/index.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, optionOf } from './bench-options.js';
import { BrokerProcess } from './broker-process.js';
import { MemoryGroup } from './cgroup.js';
import { drawImage } from './draw-image.js';
import { LAG_FILE } from './loop-lag-probe.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';
import { ServiceAgent } from './service-agent.js';
import { ServiceClient } from './service-client.js';
import { CameraStream, soakCameras } from './soak-cameras.js';
import type { RequestCounts } from './soak-client.js';
import { noRequests, SoakClient } from './soak-client.js';
import type { SoakResult } from './soak-report.js';
import { judgeSoak, printSoak } from './soak-report.js';
import { Troubles } from './soak-troubles.js';
import { SoakWatch, toCsv } from './soak-watch.js';

const PROBE = new URL('./loop-lag-probe.js', import.meta.url).href;

/** Memory of agent, executor and neighbour together. */
const GROUP_BYTES = 320 * 2 ** 20;

const SAMPLE_MS = 1000;

/** Time for the first plan and the first frames, which isn't measured. */
const WARM_MS = 10_000;

/** Longest time for the last report of health. */
const REPORT_MS = 60_000;

/** Requests at once, and the longest pause after them. Eight are more than a client's share of the queue. */
const CLIENTS = [
  { atOnce: 1, pauseMs: 500 },
  { atOnce: 2, pauseMs: 2000 },
  { atOnce: 8, pauseMs: 20_000 },
] as const;

interface Place {
  readonly flags: Flags;
  readonly folder: string;
  readonly signal: AbortSignal;
}

async function soak(place: Place): Promise<SoakResult> {
  const { folder, signal } = place;
  await makeDemoModel(join(folder, 'models'));
  const image = await drawImage(join(folder, 'shapes.jpg'));
  const broker = await BrokerProcess.start(folder);
  if (broker === undefined) printLine("the broker isn't restarted, since mosquitto isn't installed");
  const stream = await CameraStream.start();
  if (stream === undefined) printLine("no camera's source is stopped, since ffmpeg isn't installed");
  const group = makeGroup();
  const lagFile = join(folder, 'lag.json');
  process.env[LAG_FILE] = lagFile;
  const agent = await ServiceAgent.start({
    folder,
    models: [DEMO_MODEL],
    cameras: soakCameras(stream, image),
    nodeFlags: ['--import', PROBE],
    signal,
    ...(place.flags.log !== undefined && { logFile: place.flags.log }),
    ...(group && { group }),
    ...(broker && { server: broker.server }),
  });
  try {
    if (broker === undefined) await agent.listening();
    return await troubleAgent({
      ...place,
      agent,
      broker,
      stream,
      group,
      lagFile,
      image: readFileSync(image),
    });
  } finally {
    await agent.stop();
    stream?.stop();
    await broker?.stop();
    await group?.remove();
  }
}

interface Scene extends Place {
  readonly agent: ServiceAgent;
  readonly broker: BrokerProcess | undefined;
  readonly stream: CameraStream | undefined;
  readonly group: MemoryGroup | undefined;
  readonly lagFile: string;
  readonly image: Uint8Array;
}

/** The group's limit holds from the start, so that the agent plans for it. */
function makeGroup(): MemoryGroup | undefined {
  try {
    const group = MemoryGroup.create(`mafat-soak-${process.pid}`);
    group.setLimit(GROUP_BYTES);
    return group;
  } catch (error) {
    printLine(`no memory cgroup: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

async function troubleAgent(scene: Scene): Promise<SoakResult> {
  const { agent, lagFile, signal, flags } = scene;
  const random = mulberry32(flags.seed);
  const requests = noRequests();
  const faults: string[] = [];
  const reporter = new ServiceClient(agent.server);
  const clients = startClients(scene, { random, requests, onFault: (fault) => faults.push(fault) });
  const troubles = new Troubles({ ...scene, random });
  await sleep(WARM_MS, undefined, { signal });
  const watch = new SoakWatch({
    agent,
    health: () => reporter.health,
    requests,
    troubles: troubles.counts,
    lagFile,
  });
  troubles.start((error) => faults.push(`trouble: ${String(error)}`));
  try {
    await watchFor(flags.minutes, { watch, agent, requests, signal });
    await troubles.stop();
    await Promise.all(clients.map((client) => client.stop()));
    await freshReport(reporter, signal);
    watch.look();
  } finally {
    await troubles.stop();
    await reporter.stop();
  }
  faults.push(...watch.faults);
  const { samples, lag } = watch;
  const { health } = reporter;
  return {
    minutes: flags.minutes,
    samples,
    requests,
    troubles: troubles.counts,
    health,
    lag,
    faults,
    end: agent.end,
  };
}

/** Waits for a report of health from now on. After a restart of the broker the link takes its time. */
async function freshReport(reporter: ServiceClient, signal: AbortSignal): Promise<void> {
  const nowMs = Date.now();
  const isOld = () => !(Date.parse(reporter.health?.at ?? '') > nowMs);
  for (let left = REPORT_MS; left > 0 && isOld(); left -= SAMPLE_MS)
    await sleep(SAMPLE_MS, undefined, { signal });
}

interface Asking {
  readonly random: () => number;
  readonly requests: RequestCounts;
  readonly onFault: (fault: string) => void;
}

function startClients({ agent, image }: Scene, { random, requests, onFault }: Asking): readonly SoakClient[] {
  return CLIENTS.map((pace, at) => {
    const { server } = agent;
    const common = { model: DEMO_MODEL, image, random, counts: requests, onFault };
    const client = new SoakClient({ server, clientId: `soak${at}`, ...pace, ...common });
    client.start();
    return client;
  });
}

interface Watching {
  readonly watch: SoakWatch;
  readonly agent: ServiceAgent;
  readonly requests: RequestCounts;
  readonly signal: AbortSignal;
}

/** Ends early if the agent ends. */
async function watchFor(minutes: number, { watch, agent, requests, signal }: Watching): Promise<void> {
  const progress = startProgress('soaking');
  const untilMs = performance.now() + minutes * 60_000;
  try {
    while (performance.now() < untilMs && agent.end === undefined) {
      await sleep(SAMPLE_MS, undefined, { signal });
      watch.look();
      const left = Math.ceil((untilMs - performance.now()) / 1000);
      progress.show(`${left} s left, ${requests.answered} requests answered, ${requests.lost} lost`);
    }
  } finally {
    progress.stop();
  }
}

function parseMinutes(text: string): number {
  const minutes = Number(text);
  if (minutes > 0 && Number.isFinite(minutes)) return minutes;
  throw new InvalidArgumentError('Expected a number above 0.');
}

interface Flags extends OutputFlags {
  readonly minutes: number;
  readonly seed: number;
  readonly csv?: string;
  readonly log?: string;
}

async function main(): Promise<void> {
  const flags = benchCommand('soak', 'Troubles the agent and counts what is lost.')
    .addOption(optionOf('--minutes <number>', 'length of the run', { parse: parseMinutes, fallback: '3' }))
    .addOption(optionOf('--seed <number>', 'seed of the random choices', { parse: parseSeed, fallback: '1' }))
    .addOption(jsonOption())
    .option('--csv <file>', 'write a row for each second to this file')
    .option('--log <file>', "write the agent's log to this file")
    .parse()
    .opts<Flags>();
  const result = await withContext('soak', ({ signal }) =>
    withBenchFolder((folder) => soak({ flags, folder, signal })),
  );
  const bars = judgeSoak(result);
  printSoak(result, bars);
  const { samples, ...figures } = result;
  await writeResults(flags, { figures: { ...figures, bars }, panels: [] });
  if (flags.csv !== undefined) await writeFile(flags.csv, toCsv(samples));
  if (bars.some(({ isMet }) => !isMet)) process.exitCode = 1;
}

await runBench(main);
