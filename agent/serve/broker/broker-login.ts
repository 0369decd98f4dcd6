/**
 * Who a client of the embedded broker is, judged by its CONNECT alone. The agent proves itself by a password that
 * is made at each start and never leaves the process: a client id can be said by anybody.
 */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isTopicLevel } from '../../../shared/wire/index.js';
import { mayPublish } from './broker-access.js';

export interface Login {
  readonly username: string;
  readonly password: string;
}

/** Of CONNECT; no name and an empty one are the same. */
export interface Introduction {
  readonly clientId: string;
  readonly clean?: boolean;
  readonly username?: string;
  readonly password?: Uint8Array;
  readonly will?: { readonly topic: string; readonly retain?: boolean };
}

export interface DoorRules {
  readonly base: string;
  /** That the agent came with, once it has come: nobody else may push it out. */
  readonly agentId?: string | undefined;
  /** Asked of everybody else; without them anybody may come. */
  readonly credentials?: Login | undefined;
}

export interface Refusal {
  /** Of CONNACK (MQTT 3.1.1, section 3.2.2.3). */
  readonly returnCode: number;
  readonly reason: string;
}

export const RETURN_CODE = { identifierRejected: 2, badLogin: 4, notAuthorized: 5 } as const;

export function createAgentLogin(): Login {
  return { username: 'agent', password: randomBytes(24).toString('base64url') };
}

/** Hashes are equally long, so that the time taken says nothing about either part. */
export function isLogin({ username, password }: Pick<Introduction, keyof Login>, expected: Login): boolean {
  const sameName = timingSafeEqual(digest(username ?? ''), digest(expected.username));
  const samePassword = timingSafeEqual(digest(password ?? ''), digest(expected.password));
  return sameName && samePassword;
}

/** Why a client that isn't the agent can't come in; undefined if it can. */
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
  if (will !== undefined && !mayPublish({ topic: will.topic, retain: will.retain === true }, rules.base))
    return { returnCode: RETURN_CODE.notAuthorized, reason: `no right to a will for ${will.topic}` };
  return undefined;
}

function digest(text: string | Uint8Array): Buffer {
  return createHash('sha256').update(text).digest();
}
