/**
 * Measures what a request costs beside the executor's time: MQTT, JSON, base64 and the way to the executor and back.
 *
 *     node dist/bench/request-cost.js [--network NAME] [--requests 200] [--json FILE]
 *
 * A client on the same machine sends JPEG images one after the other to the embedded broker of an agent that does nothing
 * else. The executor's time, which is that of reading, decoding and running, comes with the answer.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withContext } from '../agent/cli/context.js';
import { parseCount } from '../agent/cli/parse-options.js';
import { formatTable, printLine } from '../agent/cli/print.js';
import { elementAt } from '../shared/graph/index.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, optionOf } from './bench-options.js';
import { drawImage } from './draw-image.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';
import { ServiceAgent } from './service-agent.js';
import type { AnswerTimes } from './service-client.js';
import { ServiceClient } from './service-client.js';
import { findServiceNetworks } from './service-networks.js';

/** Requests before the measured ones. */
const WARM_UP = 20;

interface Flags extends OutputFlags {
  readonly network: string;
  readonly requests: number;
}

function readFlags(): Flags {
  return benchCommand('request-cost', 'Measures what a request costs beside the executor.')
    .addOption(
      optionOf('--network <name>', 'network of bench/service-networks.ts', {
        parse: String,
        fallback: 'mobilenetv2-0.35-144',
      }),
    )
    .addOption(optionOf('--requests <number>', 'requests', { parse: parseCount, fallback: '200' }))
    .addOption(jsonOption())
    .parse()
    .opts<Flags>();
}

async function main(): Promise<void> {
  const flags = readFlags();
  const network = elementAt(findServiceNetworks([flags.network]), 0);
  const times = await withContext('request-cost', ({ signal }) =>
    withBenchFolder(async (folder) => {
      await network.save(folder);
      const image = readFileSync(await drawImage(join(folder, 'image.jpg')));
      const agent = await ServiceAgent.start({ folder, models: [network.name], cameras: [], signal });
      await agent.listening();
      const client = new ServiceClient(agent.server);
      await client.connected(() => agent.end !== undefined);
      const all = await askAll(client, { model: network.name, image, count: WARM_UP + flags.requests });
      await client.stop();
      await agent.stop();
      printLine(
        `${network.name}, JPEG of ${Math.round(image.byteLength / 1000)} KB, ${flags.requests} requests`,
      );
      return all.slice(WARM_UP);
    }),
  );
  const row = (name: string, of: (times: AnswerTimes) => number) => {
    const sorted = times.map(of).sort((a, b) => a - b);
    const at = (part: number) => elementAt(sorted, Math.floor(part * (sorted.length - 1))).toFixed(1);
    return [name, at(0.5), at(0.95), at(0.99)];
  };
  printLine(
    formatTable(
      ['milliseconds', 'median', 'p95', 'p99'],
      [
        row('round trip', ({ tookMs }) => tookMs),
        row('executor', ({ executorMs }) => executorMs),
        row('all else', ({ tookMs, executorMs }) => tookMs - executorMs),
      ],
    ),
  );
  await writeResults(flags, { figures: times, panels: [] });
}

interface Asking {
  readonly model: string;
  readonly image: Uint8Array;
  readonly count: number;
}

async function askAll(
  client: ServiceClient,
  { model, image, count }: Asking,
): Promise<readonly AnswerTimes[]> {
  const all: AnswerTimes[] = [];
  while (all.length < count) {
    const times = await client.ask(model, image);
    if (times !== undefined) all.push(times);
  }
  return all;
}

await runBench(main);
