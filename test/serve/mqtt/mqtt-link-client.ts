/** A link that keeps what it is told, for tests. */
import { afterEach } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LinkMessage, LinkOptions } from '../../../agent/serve/mqtt/mqtt-link.js';
import { MqttLink } from '../../../agent/serve/mqtt/mqtt-link.js';

const open = new Set<MqttLink>();

// Those of a test that failed, too: an open line keeps the process from ending.
afterEach(async () => {
  await Promise.all([...open].map((link) => link.stop()));
  open.clear();
});

export function openLink(
  server: string,
  clientId: string,
  { retain = {}, ...options }: Partial<LinkOptions> & { readonly retain?: Record<string, string> } = {},
) {
  const messages: LinkMessage[] = [];
  const offline: { readonly reason: string; readonly retryMs: number; readonly atMs: number }[] = [];
  const refused: string[] = [];
  let connected: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    connected = resolve;
  });
  const link = new MqttLink(
    { server, clientId, keepaliveSeconds: 30, maxPayloadBytes: 100_000, ...options },
    {
      onMessage: (message) => messages.push(message),
      onConnect: () => connected(),
      onOffline: (reason, retryMs) => offline.push({ reason, retryMs, atMs: performance.now() }),
      onRefused: (topic, reason) => refused.push(`${topic}: ${reason}`),
    },
  );
  for (const [topic, payload] of Object.entries(retain)) link.retain(topic, payload);
  link.start();
  open.add(link);
  return { link, messages, offline, refused, ready };
}

export function textsOf(messages: readonly LinkMessage[]): readonly string[] {
  return messages.map(({ payload }) => Buffer.from(payload).toString());
}

/** Waits for something to come about, up to 20 s: a few of the first pauses between attempts. */
export async function until(holds: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 800; attempt += 1) {
    if (holds()) return;
    await sleep(25);
  }
  throw new Error('it did not come about within 20 s');
}
