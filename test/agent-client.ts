/** A client of a real agent, for tests. */
import type { TestContext } from 'node:test';
import { MqttLink } from '../agent/serve/mqtt/mqtt-link.js';
import { until } from './start-agent.js';

const REPLY = 'mafat/clients/tester/answers';
export const INFER_TOPIC = 'mafat/test/v2/models/yf/infer';

export interface Answer {
  readonly id?: string;
  readonly error?: string;
  readonly parameters?: { readonly status: number };
  readonly outputs?: readonly { readonly name: string; readonly data: readonly (number | string)[] }[];
}

/** One inference request with one input, answered at the client's own place unless told otherwise. */
export function requestOf(
  input: object,
  { id, replyTo = REPLY }: { id?: string; replyTo?: string } = {},
): string {
  return JSON.stringify({
    ...(id === undefined ? {} : { id }),
    parameters: { reply_to: replyTo },
    inputs: [input],
  });
}

export async function openClient(context: TestContext, port: number) {
  const answers: Answer[] = [];
  const link = new MqttLink(
    {
      server: `mqtt://127.0.0.1:${port}`,
      clientId: 'tester',
      keepaliveSeconds: 30,
      maxPayloadBytes: 2 ** 25,
    },
    {
      onConnect: () => undefined,
      onOffline: () => undefined,
      onMessage: ({ payload }) => answers.push(JSON.parse(Buffer.from(payload).toString()) as Answer),
    },
  );
  link.subscribe(REPLY);
  link.start();
  context.after(() => link.stop());
  await until(() => link.connected);
  /** Sends a request and waits for the next answer. */
  const ask = async (payload: string) => {
    const seen = answers.length;
    link.publish(INFER_TOPIC, payload, { qos: 1 });
    await until(() => answers.length > seen);
    return answers.at(-1) ?? {};
  };
  return { link, answers, ask };
}
