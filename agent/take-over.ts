/** What of a new configuration counts while the agent runs. Anything else asks for a restart, by its name. */
import type { Logger } from 'pino';
import type { BudgetWatch } from './board/budget-watch.js';
import type { Cameras } from './camera/cameras.js';
import type { Config } from './config/config-schema.js';
import type { Planners } from './planning/planners.js';
import type { Housekeeping } from './store/housekeeping.js';

export interface RunningParts {
  /** The configuration in force. */
  readonly current: Config;
  readonly watch: BudgetWatch;
  readonly planners: Planners;
  readonly cameras: Cameras;
  readonly housekeeping: Housekeeping;
  readonly log: Logger;
}

/** Cameras that stay as they are lose no frame. @returns the configuration that is in force afterwards. */
export async function takeOver(config: Config, parts: RunningParts): Promise<Config> {
  const { current, watch, planners, cameras, housekeeping, log } = parts;
  const { memory, models, events } = config;
  watch.configure(memory);
  housekeeping.keepDays = events.keepDays;
  // A camera may go with its model, and come with one.
  await cameras.retire(config.cameras);
  await planners.configure(models);
  await cameras.configure(config.cameras);
  const next = { ...current, memory, models, cameras: config.cameras, events };
  const left = differences(next, config);
  if (left.length > 0) log.warn({ keys: left }, 'these keys count from the next start on; restart for them');
  log.info({ memory, models: models.length, cameras: config.cameras.length }, 'configuration reloaded');
  return next;
}

/** Keys whose values differ, of sections and of what is in them. */
function differences(from: object, to: object, path = ''): readonly string[] {
  const values = new Map<string, unknown>(Object.entries(from));
  return Object.entries(to).flatMap(([key, value]: [string, unknown]) => {
    const before = values.get(key);
    const name = `${path}${key}`;
    if (isSection(before) && isSection(value)) return differences(before, value, `${name}.`);
    return JSON.stringify(before) === JSON.stringify(value) ? [] : [name];
  });
}

function isSection(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
