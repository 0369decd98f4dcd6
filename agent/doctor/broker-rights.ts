/**
 * Whether a plain client hears what isn't meant for it: requests of others, which carry images, and their answers.
 *
 * 1. A client listens with all filters that could match. At the embedded broker it has the clients' login, at another
 *    broker none.
 * 2. A second client publishes a request to a node that isn't there, and an answer for a client that isn't there.
 * 3. What the first one hears, strangers can hear.
 *
 * A refusal of a subscription is no proof, since Mosquitto grants all and filters what it delivers. The rights of
 * other logins aren't probed.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { inferTopic } from '../../shared/wire/index.js';
import type { MqttLine } from '../serve/mqtt/mqtt-line.js';
import { knownServer, loginOf, openLine } from './broker-line.js';
import type { Result, Surroundings } from './check.js';
import { bad, fine, messageOf } from './check.js';

/** Time in which a broker acknowledges subscriptions, and in which it delivers. */
const ANSWER_MS = 500;

export async function checkRights({ config }: Surroundings, signal: AbortSignal): Promise<readonly Result[]> {
  const { mqtt } = config;
  const server = knownServer(mqtt);
  const isEmbedded = mqtt.server === 'embedded';
  const heard = new Set<string>();
  let ear: MqttLine;
  try {
    ear = await openLine({
      server,
      login: isEmbedded ? loginOf(mqtt) : { tls: mqtt.tls },
      signal,
      onMessage: ({ topic }) => heard.add(topic),
    });
  } catch (error) {
    return [fine(`no connection without a login (${messageOf(error)}); the rights of logins are not probed`)];
  }
  const mouth = await openLine({ server, login: loginOf(mqtt), signal });
  const probe = probeOf(mqtt.base);
  for (const filter of probe.filters) ear.subscribe(filter);
  await sleep(ANSWER_MS, undefined, { signal });
  for (const topic of [probe.request, probe.answer]) mouth.publish(topic, '{}', { qos: 1 });
  await sleep(ANSWER_MS, undefined, { signal });
  await Promise.all([ear.close(), mouth.close()]);
  const who = isEmbedded ? 'a client' : 'a client without a login';
  return [
    describe(heard.has(probe.request), `requests of others, with their images`, who),
    describe(heard.has(probe.answer), 'answers to others', who),
  ];
}

function describe(isHeard: boolean, what: string, who: string): Result {
  return isHeard
    ? bad(
        `${who} can read ${what}`,
        'give clients only their own topics (docs/protocol.md, sections 3 and 4)',
      )
    : fine(`${who} cannot read ${what}`);
}

interface Probe {
  readonly request: string;
  readonly answer: string;
  /** Each way to ask for them. */
  readonly filters: readonly string[];
}

/** Topics of a node and of a client that don't exist, so that nobody acts on them. */
function probeOf(base: string): Probe {
  const name = `doctor-${randomUUID().slice(0, 8)}`;
  const request = inferTopic(base, name, 'probe');
  const answer = `${base}/clients/${name}/answers`;
  const filters = [
    '#',
    `${base}/#`,
    `${base}/+/v2/#`,
    `${base}/${name}/#`,
    `${base}/${name}/v2/#`,
    request,
    `${base}/clients/#`,
    `${base}/clients/+/+`,
    answer,
  ];
  return { request, answer, filters };
}
