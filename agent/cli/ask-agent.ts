/**
 * The part that `infer` and `status` share: options that say where the agent is, and an exchange with it over
 * MQTT.
 */

import type { Command } from 'commander';
import { readPassword } from '../config/credentials.js';
import type { LinkMessage, LinkOptions } from '../serve/mqtt/mqtt-link.js';
import { MqttLink } from '../serve/mqtt/mqtt-link.js';
import { parseBase, parseCount, parseNode, parseServer } from './parse-options.js';

export interface ServerFlags {
  readonly server: string;
  readonly node: string;
  readonly base: string;
  readonly timeout: number;
  readonly json?: boolean;
  readonly username?: string;
  readonly passwordFile?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export function withServerOptions(command: Command): Command {
  return command
    .requiredOption('--server <url>', 'MQTT broker, such as mqtt://127.0.0.1:1883', parseServer)
    .requiredOption('--node <name>', 'node name of the agent', parseNode)
    .option('--base <topic>', 'topic prefix of the agent (mqtt.base)', parseBase, 'mafat')
    .option('--username <name>', 'login at the broker')
    .option('--password-file <file>', 'file whose first line is the password')
    .option('--ca <file>', 'for mqtts: authorities in PEM instead of the system’s')
    .option('--cert <file>', 'for mqtts: certificate of this client in PEM')
    .option('--key <file>', 'for mqtts: its key')
    .option('--timeout <seconds>', 'time to wait for the agent, in seconds', parseCount, 30)
    .option('--json', 'print the result as JSON');
}

/**
 * Least limit of a received message in bytes. Answers carry outputs, and retained topics have no limit of
 * their own.
 */
const MAX_ANSWER_BYTES = 2 ** 24;

export interface Exchange {
  /** Client id. The topic of answers contains it. */
  readonly client: string;
  /** Topics that must each give a message. */
  readonly topics: readonly string[];
  /** Size of the largest message that is sent, in bytes. */
  readonly maxBytes?: number;
  /** Called when the client is connected and subscribed. */
  readonly ask?: (link: MqttLink) => void;
}

/**
 * Connects, subscribes and asks. @returns the last message of each topic, once there is one of each.
 * @throws {Error} if a message doesn't come in time or the broker refuses a topic; also what `ask` throws.
 */
export function askAgent(
  flags: ServerFlags,
  { client, topics, maxBytes = 0, ask }: Exchange,
): Promise<readonly string[]> {
  const { server, timeout, node } = flags;
  const login = loginOf(flags);
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
      { server, ...login, clientId: client, keepaliveSeconds: 30, maxPayloadBytes },
      {
        onConnect: () => {
          reason = noAnswer;
          // An error thrown from an event handler would end the process.
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

/** A handler that keeps the last message of each topic, and calls back once there is one of each. */
function gather(topics: readonly string[], onAll: (payloads: readonly string[]) => void) {
  const found = new Map<string, string>();
  return ({ topic, payload }: LinkMessage): void => {
    found.set(topic, Buffer.from(payload).toString('utf8'));
    const all = topics.map((expected) => found.get(expected));
    if (all.every((text) => text !== undefined)) onAll(all);
  };
}

/** @throws {RangeError} if the password's file can't be read. */
function loginOf({ username, passwordFile, ca, cert, key }: ServerFlags): Login {
  const password = readPassword(passwordFile ?? null, '--password-file');
  return {
    tls: { ca: ca ?? null, cert: cert ?? null, key: key ?? null },
    ...(username === undefined ? {} : { username }),
    ...(password === null ? {} : { password }),
  };
}

type Login = Pick<LinkOptions, 'username' | 'password' | 'tls'>;
