import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { Command } from 'commander';
import { pino } from 'pino';
import { ServiceNotifier } from '../board/service-notifier.js';
import { DEFAULT_CONFIG, loadConfig } from '../config/load-config.js';
import { daemonSignals } from '../early-signals.js';
import { defaultModelsFolder, ModelStore } from '../models/model-store.js';
import type { ReadConfig } from './configured-agent.js';
import { ConfiguredAgent, readConfig } from './configured-agent.js';
import { runDaemon } from './run-daemon.js';
import { keepHeapSmall } from './small-heap.js';

export function agentCommand(version: string): Command {
  return new Command('agent')
    .description('serve cameras and MQTT requests inside the memory the board can spare')
    .option('--config <file>', 'configuration in YAML (without it every key has its default)')
    .action(async ({ config: file }: { config?: string }) => {
      daemonSignals.catchAll();
      keepHeapSmall();
      const read = await readFirst(file);
      const { level } = (read.config ?? DEFAULT_CONFIG).log;
      const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime });
      const notifier = ServiceNotifier.fromEnvironment({
        onError: (error) => log.warn({ error: String(error) }, 'service manager not told'),
      });
      const folder = defaultModelsFolder();
      const models = new ModelStore(folder);
      const options = { models, stateFolder: dirname(folder), log, version, notifier };
      const agent = new ConfiguredAgent(read, file, options);
      await runDaemon(agent, { signals: daemonSignals, notifier, log });
    });
}

/**
 * Whoever starts the agent by hand sees what is wrong at once; a service mustn't end for a bad file. A file that isn't
 * there may come: the next start looks again.
 */
async function readFirst(file: string | undefined): Promise<ReadConfig> {
  if (file === undefined) return { config: DEFAULT_CONFIG };
  return process.stdin.isTTY || !existsSync(file) ? { config: await loadConfig(file) } : readConfig(file);
}
