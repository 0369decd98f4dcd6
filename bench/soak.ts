/**
 * Measures whether the agent's memory grows when it works for a long time.
 *
 *     node dist/bench/soak.js [--minutes 60] [--json FILE]
 *
 * The agent runs the demo's model within the demo's first budget and with the flags of `npm start`. It gets frames of a
 * synthetic camera and requests with a PNG over MQTT. The bench samples the private memory (RssAnon + VmSwap) of the
 * agent and of its executor. A row of the table is the median and the maximum of an equal part of the time.
 */

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InvalidArgumentError } from 'commander';
import { readProcessMemory } from '../agent/board/process-memory.js';
import { formatBytes, formatTable, printLine } from '../agent/cli/print.js';
import { startProgress } from '../agent/cli/progress.js';
import { MqttLink } from '../agent/serve/mqtt/mqtt-link.js';
import { DEMO_NODE, DemoAgent } from '../demo/agent-process.js';
import { DEMO_MODEL, makeDemoModel } from '../demo/demo-model.js';
import { present } from '../shared/graph/index.js';
import { median } from '../shared/predict/index.js';
import type { NodeHealth } from '../shared/wire/index.js';
import { inferTopic, nodeTopics } from '../shared/wire/index.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, optionOf } from './bench-options.js';
import { drawImage } from './draw-image.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';

const BUDGET = '40M';

/** Number of parts of the time, each a row of the table. */
const WINDOWS = 12;

const SAMPLE_MS = 2000;
const REQUEST_MS = 2000;

interface Sample {
  readonly agentBytes: number;
  readonly executorBytes: number;
}

/** Sends requests, counts the answers and keeps the agent's last report of health. */
class SoakClient {
  readonly #link: MqttLink;
  readonly #replyTo: string;
  #timer: NodeJS.Timeout | undefined;
  health: NodeHealth | undefined;
  counts = { asked: 0, answered: 0, refused: 0 };

  constructor(server: string) {
    const client = `soak-${randomUUID().slice(0, 8)}`;
    this.#replyTo = `mafat/clients/${client}/answers`;
    this.#link = new MqttLink(
      { server, clientId: client, keepaliveSeconds: 30, maxPayloadBytes: 2 ** 24 },
      {
        onConnect: () => undefined,
        onOffline: () => undefined,
        onMessage: ({ topic, payload }) => this.#take(topic, JSON.parse(Buffer.from(payload).toString())),
      },
    );
  }

  start(image: Uint8Array): void {
    this.#link.subscribe(this.#replyTo);
    this.#link.subscribe(nodeTopics('mafat', DEMO_NODE).health);
    this.#link.start();
    const data = [Buffer.from(image).toString('base64')];
    const inputs = [{ name: 'image', shape: [1], datatype: 'BYTES', data }];
    const payload = JSON.stringify({ parameters: { reply_to: this.#replyTo }, inputs });
    this.#timer = setInterval(() => {
      this.counts.asked += 1;
      this.#link.publish(inferTopic('mafat', DEMO_NODE, DEMO_MODEL), payload, { qos: 1 });
    }, REQUEST_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#link.stop();
  }

  #take(topic: string, said: NodeHealth & { readonly error?: string }): void {
    if (topic !== this.#replyTo) this.health = said;
    else if (said.error === undefined) this.counts.answered += 1;
    else this.counts.refused += 1;
  }
}

function sampleOf({ processes }: NodeHealth): Sample {
  const bytesOf = (name: string) => {
    const found = processes.find((process) => process.name === name);
    const { pid } = present(found, `process ${name} in the report of health`);
    const { rssAnonBytes, swapBytes } = readProcessMemory(pid);
    return rssAnonBytes + swapBytes;
  };
  return { agentBytes: bytesOf('agent'), executorBytes: bytesOf('executor') };
}

interface Soak {
  readonly samples: readonly Sample[];
  readonly counts: SoakClient['counts'];
  readonly camera: NodeHealth['cameras'][number] | undefined;
}

async function soak(folder: string, minutes: number): Promise<Soak> {
  await makeDemoModel(join(folder, 'models'));
  const image = readFileSync(await drawImage(join(folder, 'shapes.png')));
  const agent = new DemoAgent(folder, { fps: 1 });
  const client = new SoakClient(await agent.start(BUDGET, new AbortController().signal));
  const progress = startProgress('soaking');
  const samples: Sample[] = [];
  try {
    client.start(image);
    const count = Math.max(WINDOWS, Math.round((minutes * 60_000) / SAMPLE_MS));
    while (samples.length < count) {
      await sleep(SAMPLE_MS);
      agent.lost.throwIfAborted();
      if (client.health !== undefined) samples.push(sampleOf(client.health));
      progress.show(`${samples.length} of ${count} samples`);
    }
    return { samples, counts: client.counts, camera: client.health?.cameras[0] };
  } finally {
    progress.stop();
    await client.stop();
    await agent.stop();
  }
}

function printSoak({ samples, counts, camera }: Soak, minutes: number): void {
  const edge = (at: number) => Math.floor((at * samples.length) / WINDOWS);
  const rows = Array.from({ length: WINDOWS }, (_, at) => {
    const window = samples.slice(edge(at), edge(at + 1));
    const cells = ([key, pick]: readonly ['agentBytes' | 'executorBytes', 'median' | 'max']) => {
      const values = window.map((sample) => sample[key]);
      return formatBytes(pick === 'median' ? median(values) : Math.max(...values));
    };
    const columns = [
      ['agentBytes', 'median'],
      ['agentBytes', 'max'],
      ['executorBytes', 'median'],
      ['executorBytes', 'max'],
    ] as const;
    return [`${(((at + 1) * minutes) / WINDOWS).toFixed(0)} min`, ...columns.map(cells)];
  });
  printLine(formatTable(['until', 'agent', 'at most', 'executor', 'at most'], rows));
  const { asked, answered, refused } = counts;
  printLine(`requests: ${asked} sent, ${answered} answered, ${refused} refused`);
  if (camera !== undefined) printLine(`camera: ${JSON.stringify(camera)}`);
}

function parseMinutes(text: string): number {
  const minutes = Number(text);
  if (minutes > 0 && Number.isFinite(minutes)) return minutes;
  throw new InvalidArgumentError('Expected a number above 0.');
}

interface Flags extends OutputFlags {
  readonly minutes: number;
}

async function main(): Promise<void> {
  const flags = benchCommand(
    'soak',
    "Measures whether the agent's memory grows when it works for a long time.",
  )
    .addOption(optionOf('--minutes <number>', 'length of the run', { parse: parseMinutes, fallback: '60' }))
    .addOption(jsonOption())
    .parse()
    .opts<Flags>();
  const result = await withBenchFolder((folder) => soak(folder, flags.minutes));
  printSoak(result, flags.minutes);
  await writeResults(flags, { figures: result, panels: [] });
}

await runBench(main);
