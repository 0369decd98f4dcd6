/** What of a new configuration counts while the agent runs: the memory section. Anything else asks for a restart. */
import type { Logger } from 'pino';
import type { BudgetWatch } from './board/budget-watch.js';
import type { Config } from './config/config-schema.js';

export interface RunningParts {
  /** The configuration in force. */
  readonly current: Config;
  readonly watch: BudgetWatch;
  readonly log: Logger;
}

/** @returns the configuration that is in force afterwards. */
export function takeOver(config: Config, { current, watch, log }: RunningParts): Config {
  const rest = ({ memory: _, ...others }: Config) => JSON.stringify(others);
  if (rest(config) !== rest(current))
    log.warn('only the memory section is taken over while running; restart for the rest');
  watch.configure(config.memory);
  log.info({ memory: config.memory }, 'configuration reloaded');
  return { ...current, memory: config.memory };
}
