/**
 * The agent as its configuration file has it. A file that can't be used doesn't keep the node away: it runs degraded,
 * without models and cameras, and says why wherever it can, until a SIGHUP finds a good file.
 */
import type { Logger } from 'pino';
import type { AgentOptions } from '../agent.js';
import { Agent } from '../agent.js';
import type { ServiceNotifier } from '../board/service-notifier.js';
import type { Config } from '../config/config-schema.js';
import { loadConfig, salvageConfig } from '../config/load-config.js';
import type { Daemon, ReloadableDaemon } from './run-daemon.js';
import { WaitingNode } from './waiting-node.js';

export type ConfiguredOptions = Omit<AgentOptions, 'configFault'> & { readonly notifier: ServiceNotifier };

/** What a file says, or what is left of it. */
export interface ReadConfig {
  /** Undefined if not even the broker can be read from the file. */
  readonly config: Config | undefined;
  /** Why the file can't be used; undefined if it can. */
  readonly fault?: string;
}

/** Never throws. */
export async function readConfig(file: string): Promise<ReadConfig> {
  try {
    return { config: await loadConfig(file) };
  } catch (error) {
    return { config: await salvageConfig(file), fault: (error as Error).message };
  }
}

export class ConfiguredAgent implements ReloadableDaemon {
  readonly #file: string | undefined;
  readonly #options: ConfiguredOptions;
  readonly #log: Logger;
  /** Undefined while the node runs degraded. */
  #agent: Agent | undefined;
  #daemon: Daemon;
  #isStopped = false;

  /** @param file undefined if it runs by defaults, which are never taken over anew. */
  constructor({ config, fault }: ReadConfig, file: string | undefined, options: ConfiguredOptions) {
    this.#file = file;
    this.#options = options;
    this.#log = options.log;
    this.#daemon = this.#create(config, fault);
  }

  async start(): Promise<void> {
    await this.#daemon.start();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#daemon.stop();
  }

  refuse(): void {
    this.#daemon.refuse();
  }

  /** Takes over the file as it is now; a bad one changes nothing. @throws if an agent that ran degraded can't start. */
  async reload(): Promise<void> {
    if (this.#file === undefined)
      return this.#log.warn('SIGHUP does nothing: there is no configuration file');
    const { config, fault } = await readConfig(this.#file);
    if (fault !== undefined || config === undefined)
      this.#log.error({ error: fault }, 'configuration not reloaded; the old one stays');
    else if (this.#agent !== undefined) await this.#agent.reload(config);
    else await this.#replace(config);
  }

  async #replace(config: Config): Promise<void> {
    this.#log.level = config.log.level;
    this.#log.info('the configuration is good now; starting anew');
    await this.#daemon.stop();
    if (this.#isStopped) return;
    this.#daemon = this.#create(config);
    await this.#daemon.start();
  }

  #create(config: Config | undefined, fault?: string): Daemon {
    if (fault !== undefined) this.#log.error({ error: fault }, 'configuration not used; waiting for SIGHUP');
    if (config === undefined) return new WaitingNode(this.#options.notifier, fault ?? '');
    const agent = new Agent(config, {
      ...this.#options,
      ...(fault === undefined ? {} : { configFault: fault }),
    });
    if (fault === undefined) this.#agent = agent;
    return agent;
  }
}
