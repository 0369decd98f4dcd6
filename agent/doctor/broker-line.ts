/** One connection of the doctor to a broker: MQTT 5 first, as the agent tries it, then 3.1.1. */
import { randomUUID } from 'node:crypto';
import type { Config } from '../config/config-schema.js';
import type { LinkMessage } from '../serve/mqtt/mqtt-line.js';
import { MqttLine } from '../serve/mqtt/mqtt-line.js';
import type { MqttVersion } from '../serve/mqtt/retry-policy.js';

export interface Login {
  readonly username?: string;
  readonly password?: string;
  readonly tls: Config['mqtt']['tls'];
}

export interface LineWish {
  readonly server: string;
  readonly login: Login;
  readonly signal: AbortSignal;
  readonly onMessage?: (message: LinkMessage) => void;
}

/** Where the agent's broker is for a client on this machine; undefined if its port isn't known beforehand. */
export function serverOf({ server, listen }: Config['mqtt']): string | undefined {
  if (server !== 'embedded') return server;
  if (listen.port === 0) return undefined;
  const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[listen.host] ?? listen.host;
  return `mqtt://${host.includes(':') ? `[${host}]` : host}:${listen.port}`;
}

export function loginOf({ username, password, tls }: Config['mqtt']): Login {
  return { tls, ...(username === null ? {} : { username }), ...(password === null ? {} : { password }) };
}

/** @throws {RangeError} if the port isn't known; the first check has said so. */
export function knownServer(mqtt: Config['mqtt']): string {
  const server = serverOf(mqtt);
  if (server === undefined) throw new RangeError('Cannot ask the broker: its port is chosen at the start');
  return server;
}

/** Longest time until a broker has answered: less than that of a check, so that the reason is known. */
const ANSWER_MS = 4000;

/** Largest payload that the doctor reads: reports of a node take a few KB. */
const MAX_BYTES = 2 ** 20;

/** An open line. @throws {Error} with the reason why there is none. */
export async function openLine(wish: LineWish): Promise<MqttLine> {
  try {
    return await openVersion(wish, 5);
  } catch (error) {
    // The embedded broker and old ones know 3.1.1 alone.
    if (error instanceof LineError && error.mayKnowOlder) return openVersion(wish, 4);
    throw error;
  }
}

class LineError extends Error {
  readonly mayKnowOlder: boolean;

  constructor(message: string, mayKnowOlder: boolean) {
    super(message);
    this.mayKnowOlder = mayKnowOlder;
  }
}

function openVersion(
  { server, login, signal, onMessage }: LineWish,
  version: MqttVersion,
): Promise<MqttLine> {
  const clientId = `mafat-doctor-${randomUUID().slice(0, 8)}`;
  const options = { server, clientId, ...login, keepaliveSeconds: 30, maxPayloadBytes: MAX_BYTES };
  return new Promise((resolve, reject) => {
    const giveUp = setTimeout(() => {
      reject(new LineError(`no answer within ${ANSWER_MS / 1000} s`, false));
      void line.close();
    }, ANSWER_MS);
    const line = new MqttLine(options, version, {
      onOpen: () => {
        clearTimeout(giveUp);
        resolve(line);
      },
      onMessage: (message) => onMessage?.(message),
      onRefused: () => undefined,
      onEnd: ({ kind }, reason) => {
        clearTimeout(giveUp);
        reject(new LineError(reason, kind === 'wrong-version' || (kind === 'unanswered' && version === 5)));
      },
    });
    signal.addEventListener('abort', () => void line.close(), { once: true });
  });
}
