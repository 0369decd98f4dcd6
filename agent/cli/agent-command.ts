import { dirname } from 'node:path';
import { Command } from 'commander';
import type { Logger } from 'pino';
import { pino } from 'pino';
import { Agent } from '../agent.js';
import { DEFAULT_CONFIG, loadConfig } from '../config/load-config.js';
import { defaultModelsFolder, ModelStore } from '../models/model-store.js';
import { keepHeapSmall } from './small-heap.js';

export function agentCommand(version: string): Command {
  return new Command('agent')
    .description('serve cameras and MQTT requests inside the memory the board can spare')
    .option('--config <file>', 'configuration in YAML (without it every key has its default)')
    .action(async ({ config: file }: { config?: string }) => {
      keepHeapSmall();
      const ended = untilSignal();
      let reload = async () => undefined as unknown;
      // First of all: its default is to end the process.
      process.on('SIGHUP', () => void reload());
      const config = file === undefined ? DEFAULT_CONFIG : await loadConfig(file);
      const log = pino({ level: config.log.level, base: null, timestamp: pino.stdTimeFunctions.isoTime });
      const folder = defaultModelsFolder();
      const agent = new Agent(config, {
        models: new ModelStore(folder),
        stateFolder: dirname(folder),
        log,
        version,
      });
      if (file !== undefined) reload = () => reloadAgent(agent, { file, log });
      try {
        await agent.start();
        log.info({ signal: await ended }, 'agent stops');
      } finally {
        await agent.stop();
      }
    });
}

async function reloadAgent(agent: Agent, { file, log }: { file: string; log: Logger }): Promise<void> {
  try {
    agent.reload(await loadConfig(file));
  } catch (error) {
    log.error({ error: String(error) }, 'configuration not reloaded; the old one stays');
  }
}

function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}
