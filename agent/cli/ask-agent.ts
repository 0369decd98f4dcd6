/** What `infer` and `status` share: where the agent is, and waiting for what it says over MQTT. */
import type { Command } from 'commander';
import { MqttLink } from '../serve/mqtt-link.js';
import { parseCount } from './parse-options.js';

export interface ServerFlags {
  readonly server: string;
  readonly node: string;
  readonly base: string;
  readonly timeout: number;
  readonly json?: boolean;
}

export function withServerOptions(command: Command): Command {
  return command
    .requiredOption('--server <url>', 'broker, such as mqtt://127.0.0.1:1883')
    .requiredOption('--node <name>', 'node of the agent')
    .option('--base <topic>', 'first levels of all topics', 'mafat')
    .option('--timeout <seconds>', 'how long to wait for the answer', parseCount, 30)
    .option('--json', 'print the answer as JSON');
}

/** Retained topics may be as large as a node likes; an answer carries outputs. */
const MAX_ANSWER_BYTES = 2 ** 24;

export interface Exchange {
  /** Client id, which the place of answers is named after. */
  readonly client: string;
  /** One message of each is waited for. */
  readonly topics: readonly string[];
  /** Bytes of the largest message that is sent. */
  readonly maxBytes?: number;
  /** Called when connected and subscribed. */
  readonly ask?: (link: MqttLink) => void;
}

/** Connects, subscribes, asks, and gives the first message of each topic. @throws {Error} if one doesn't come in time. */
export function askAgent(
  { server, timeout, node }: ServerFlags,
  { client, topics, maxBytes = 0, ask }: Exchange,
): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const answers = new Map<string, string>();
    let reason = `no answer from node "${node}" within ${timeout} s`;
    const end = (settle: () => void) => {
      clearTimeout(timer);
      void link.stop().then(settle);
    };
    const link = new MqttLink(
      {
        server,
        clientId: client,
        keepaliveSeconds: 30,
        maxPayloadBytes: Math.max(maxBytes, MAX_ANSWER_BYTES),
      },
      {
        onConnect: () => ask?.(link),
        onOffline: (why) => {
          reason = `no connection to ${server}: ${why}`;
        },
        onMessage: ({ topic, payload }) => {
          answers.set(topic, Buffer.from(payload).toString('utf8'));
          const all = topics.map((expected) => answers.get(expected));
          if (all.every((answer) => answer !== undefined)) end(() => resolve(all));
        },
      },
    );
    const timer = setTimeout(() => end(() => reject(new Error(`Cannot ask: ${reason}`))), timeout * 1000);
    for (const topic of topics) link.subscribe(topic);
    link.start();
  });
}
