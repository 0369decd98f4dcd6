/** The broker as the agent meets it: reachable, its limits, and the node's reports that it keeps. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeHealth } from '../../shared/wire/index.js';
import { nodeTopics } from '../../shared/wire/index.js';
import { knownServer, loginOf, openLine, serverOf } from './broker-line.js';
import { checkRights } from './broker-rights.js';
import type { Check, Result, Surroundings } from './check.js';
import { bad, fine, messageOf, poor } from './check.js';
import { showBytes } from './show-bytes.js';

/** The later ones are left out where the first one fails. */
export const BROKER_CHECKS: readonly Check[] = [
  { name: 'broker', run: checkReach },
  { name: 'broker limits', run: checkLimits },
  { name: 'node reports', run: checkReports },
  { name: 'broker rights', run: checkRights },
];

/** Bytes of a request in addition to its payload: topic, properties and framing. */
const OVERHEAD_BYTES = 4096;

/** What a broker may take that announces no limit: MQTT's own. */
const UNLIMITED_BYTES = 2 ** 28 - 1;

/** Time in which a broker sends what it retained. */
const RETAINED_MS = 1000;

/** Reports that may be missing before a node counts as silent. */
const MISSED_REPORTS = 3;

async function checkReach({ config }: Surroundings, signal: AbortSignal): Promise<readonly Result[]> {
  const { mqtt } = config;
  const server = serverOf(mqtt);
  if (server === undefined)
    return [
      poor('embedded, at a port that is chosen at the start', 'set mqtt.listen.port to have it looked at'),
    ];
  try {
    const line = await openLine({ server, login: loginOf(mqtt), signal });
    await line.close();
    return [fine(`${server} answers by MQTT ${line.version === 5 ? '5' : '3.1.1'}`)];
  } catch (error) {
    return [explain(messageOf(error), { server, isEmbedded: mqtt.server === 'embedded' })];
  }
}

function explain(
  reason: string,
  { server, isEmbedded }: { readonly server: string; readonly isEmbedded: boolean },
): Result {
  const text = `${server}: ${reason}`;
  if (/not authori|bad user ?name/i.test(reason)) return bad(text, 'correct mqtt.username and mqtt.password');
  if (/ENOTFOUND|EAI_AGAIN/.test(reason))
    return bad(text, 'correct the host in mqtt.server, or the name service');
  if (/ECONNREFUSED/.test(reason) && isEmbedded)
    return poor(`${text}: the agent with its broker does not run`, 'start it: systemctl start mafat-agent');
  if (/ECONNREFUSED/.test(reason)) return bad(text, 'start the broker, or correct the port in mqtt.server');
  if (/certificate|self.signed/i.test(reason))
    return bad(text, 'give the broker a certificate for its host name');
  return bad(text, 'look at the broker’s log');
}

async function checkLimits({ config }: Surroundings, signal: AbortSignal): Promise<readonly Result[]> {
  const { mqtt } = config;
  const line = await openLine({ server: knownServer(mqtt), login: loginOf(mqtt), signal });
  const { maxPacketBytes, version } = line;
  await line.close();
  if (maxPacketBytes >= UNLIMITED_BYTES)
    return [
      fine(version === 5 ? 'no limit of packets announced' : 'MQTT 3.1.1 announces no limit of packets'),
    ];
  const text = `packets up to ${showBytes(maxPacketBytes)}; mqtt.maxPayload is ${showBytes(mqtt.maxPayload)}`;
  return maxPacketBytes >= mqtt.maxPayload + OVERHEAD_BYTES
    ? [fine(text)]
    : [poor(text, 'lower mqtt.maxPayload, or raise the broker’s limit (Mosquitto: max_packet_size)')];
}

async function checkReports({ config }: Surroundings, signal: AbortSignal): Promise<readonly Result[]> {
  const { mqtt, node, health } = config;
  const topics = nodeTopics(mqtt.base, node);
  const kept = new Map<string, string>();
  const line = await openLine({
    server: knownServer(mqtt),
    login: loginOf(mqtt),
    signal,
    onMessage: ({ topic, payload }) => kept.set(topic, Buffer.from(payload).toString('utf8')),
  });
  for (const topic of [topics.status, topics.health]) line.subscribe(topic);
  await sleep(RETAINED_MS, undefined, { signal });
  await line.close();
  return [
    describeReports(kept.get(topics.status), {
      health: kept.get(topics.health),
      node,
      interval: health.interval,
    }),
  ];
}

interface KeptReports {
  readonly health: string | undefined;
  readonly node: string;
  /** Seconds between reports. */
  readonly interval: number;
}

export function describeReports(
  status: string | undefined,
  { health, node, interval }: KeptReports,
  nowMs = Date.now(),
): Result {
  if (status === undefined || health === undefined)
    return poor(`node "${node}" has no reports at this broker`, 'start the agent; check node and mqtt.base');
  const { at } = JSON.parse(health) as NodeHealth;
  const ageSeconds = Math.round((nowMs - Date.parse(at)) / 1000);
  const text = `node "${node}" is ${status}, last report ${ageSeconds} s ago`;
  const isFresh = status === 'online' && ageSeconds <= MISSED_REPORTS * interval;
  return isFresh ? fine(text) : poor(text, 'journalctl -u mafat-agent says why, if it should run');
}
