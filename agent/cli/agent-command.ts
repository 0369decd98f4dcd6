import { dirname } from 'node:path';
import { Command } from 'commander';
import type { Logger } from 'pino';
import { pino } from 'pino';
import { Agent } from '../agent.js';
import { ServiceNotifier } from '../board/service-notifier.js';
import { DEFAULT_CONFIG, loadConfig } from '../config/load-config.js';
import { daemonSignals } from '../early-signals.js';
import { defaultModelsFolder, ModelStore } from '../models/model-store.js';
import { runDaemon } from './run-daemon.js';
import { keepHeapSmall } from './small-heap.js';

export function agentCommand(version: string): Command {
  return new Command('agent')
    .description('serve cameras and MQTT requests inside the memory the board can spare')
    .option('--config <file>', 'configuration in YAML (without it every key has its default)')
    .action(async ({ config: file }: { config?: string }) => {
      daemonSignals.catchAll();
      keepHeapSmall();
      const config = file === undefined ? DEFAULT_CONFIG : await loadConfig(file);
      const log = pino({ level: config.log.level, base: null, timestamp: pino.stdTimeFunctions.isoTime });
      const notifier = ServiceNotifier.fromEnvironment({
        onError: (error) => log.warn({ error: String(error) }, 'service manager not told'),
      });
      const folder = defaultModelsFolder();
      const agent = new Agent(config, {
        models: new ModelStore(folder),
        stateFolder: dirname(folder),
        log,
        version,
        notifier,
      });
      const reload = file === undefined ? {} : { reload: () => reloadAgent(agent, { file, log }) };
      await runDaemon(agent, { signals: daemonSignals, notifier, log, ...reload });
    });
}

async function reloadAgent(agent: Agent, { file, log }: { file: string; log: Logger }): Promise<void> {
  try {
    agent.reload(await loadConfig(file));
  } catch (error) {
    log.error({ error: String(error) }, 'configuration not reloaded; the old one stays');
  }
}
