/** What `infer` and `status` share: where the agent is, and waiting for what it says over MQTT. */
import type { Command } from 'commander';
import type { LinkMessage } from '../serve/mqtt/mqtt-link.js';
import { MqttLink } from '../serve/mqtt/mqtt-link.js';
import { parseBase, parseCount, parseNode, parseServer } from './parse-options.js';

export interface ServerFlags {
  readonly server: string;
  readonly node: string;
  readonly base: string;
  readonly timeout: number;
  readonly json?: boolean;
}

export function withServerOptions(command: Command): Command {
  return command
    .requiredOption('--server <url>', 'broker, such as mqtt://127.0.0.1:1883', parseServer)
    .requiredOption('--node <name>', 'node of the agent', parseNode)
    .option('--base <topic>', 'first levels of all topics', parseBase, 'mafat')
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

/**
 * Connects, subscribes, asks, and gives a message of each topic.
 * @throws {Error} if one doesn't come in time, if the broker refuses it, or what `ask` throws.
 */
export function askAgent(
  { server, timeout, node }: ServerFlags,
  { client, topics, maxBytes = 0, ask }: Exchange,
): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const maxPayloadBytes = Math.max(maxBytes, MAX_ANSWER_BYTES);
    const noAnswer = `no answer from node "${node}" within ${timeout} s`;
    let reason = noAnswer;
    const end = (settle: () => void) => {
      clearTimeout(timer);
      link.stop().then(settle, reject);
    };
    const fail = (error: unknown) => end(() => reject(error));
    const link = new MqttLink(
      { server, clientId: client, keepaliveSeconds: 30, maxPayloadBytes },
      {
        onConnect: () => {
          reason = noAnswer;
          // An error must not pass through the events of the line, where nobody would catch it.
          try {
            ask?.(link);
          } catch (error) {
            fail(error);
          }
        },
        onOffline: (why) => {
          reason = `no connection to ${new URL(server).host}: ${why}`;
        },
        onRefused: (topic, why) => fail(new Error(`Cannot ask: the broker refuses ${topic}: ${why}`)),
        onMessage: gather(topics, (answers) => end(() => resolve(answers))),
      },
    );
    for (const topic of topics) link.subscribe(topic);
    link.start();
    const timer = setTimeout(() => fail(new Error(`Cannot ask: ${reason}`)), timeout * 1000);
  });
}

/** Takes messages until there is one of each topic; the last one counts. */
function gather(topics: readonly string[], onAll: (payloads: readonly string[]) => void) {
  const found = new Map<string, string>();
  return ({ topic, payload }: LinkMessage): void => {
    found.set(topic, Buffer.from(payload).toString('utf8'));
    const all = topics.map((expected) => found.get(expected));
    if (all.every((text) => text !== undefined)) onAll(all);
  };
}
