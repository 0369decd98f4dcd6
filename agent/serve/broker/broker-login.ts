/**
 * Judges a client of the embedded broker by its CONNECT. The agent logs in with a password that is made at
 * each start and never leaves the process. A client id wouldn't prove anything, since any client can send it.
 */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isTopicLevel } from '../../../shared/wire/index.js';
import { mayPublish } from './broker-access.js';

export interface Login {
  readonly username: string;
  readonly password: string;
}

/** Fields of CONNECT. A missing user name counts as an empty one. */
export interface Introduction {
  readonly clientId: string;
  readonly clean?: boolean;
  readonly username?: string;
  readonly password?: Uint8Array;
  readonly will?: { readonly topic: string; readonly retain?: boolean };
}

export interface DoorRules {
  readonly base: string;
  /**
   * Client id of the agent once it is connected. Other clients may not use it, since MQTT would disconnect
   * the agent.
   */
  readonly agentId?: string | undefined;
  /** Whether a client with this id is connected. MQTT would disconnect it, and its answers would go to the new one. */
  readonly isTaken?: (clientId: string) => boolean;
  /** Login of all other clients. Without it any client may connect. */
  readonly credentials?: Login | undefined;
}

export interface Refusal {
  /** Return code of CONNACK (MQTT 3.1.1, section 3.2.2.3). */
  readonly returnCode: number;
  readonly reason: string;
}

export const RETURN_CODE = { identifierRejected: 2, badLogin: 4, notAuthorized: 5 } as const;

export function createAgentLogin(): Login {
  return { username: 'agent', password: randomBytes(24).toString('base64url') };
}

/** Whether a login is the expected one. Hashes of equal length are compared, so that the time taken tells nothing. */
export function isLogin({ username, password }: Pick<Introduction, keyof Login>, expected: Login): boolean {
  const sameName = timingSafeEqual(digest(username ?? ''), digest(expected.username));
  const samePassword = timingSafeEqual(digest(password ?? ''), digest(expected.password));
  return sameName && samePassword;
}

/** The refusal of a client that isn't the agent; undefined if it may connect. */
export function refuseClient(client: Introduction, rules: DoorRules): Refusal | undefined {
  const { clientId, clean = true, will } = client;
  // A client may leave its id to the broker if it keeps no session (MQTT 3.1.1, section 3.1.3.1).
  const isNamed = isTopicLevel(clientId) || (clientId === '' && clean);
  if (!isNamed) {
    const reason = `client id is ${JSON.stringify(clientId.slice(0, 128))}, expected 1 to 128 characters other than /, + and #`;
    return { returnCode: RETURN_CODE.identifierRejected, reason };
  }
  if (rules.credentials !== undefined && !isLogin(client, rules.credentials))
    return { returnCode: RETURN_CODE.badLogin, reason: 'bad user name or password' };
  if (clientId === rules.agentId)
    return {
      returnCode: RETURN_CODE.identifierRejected,
      reason: `client id is that of the agent, ${clientId}`,
    };
  if (rules.isTaken?.(clientId) === true)
    return { returnCode: RETURN_CODE.identifierRejected, reason: `client id ${clientId} is in use` };
  if (will !== undefined && !mayPublish({ topic: will.topic, retain: will.retain === true }, rules.base))
    return { returnCode: RETURN_CODE.notAuthorized, reason: `no right to a will for ${will.topic}` };
  return undefined;
}

function digest(text: string | Uint8Array): Buffer {
  return createHash('sha256').update(text).digest();
}
