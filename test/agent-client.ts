/** A client of a real agent, for tests. */
import type { TestContext } from 'node:test';
import type { LinkMessage } from '../agent/serve/mqtt/mqtt-link.js';
import { MqttLink } from '../agent/serve/mqtt/mqtt-link.js';
import type { NodeHealth } from '../shared/wire/index.js';
import { inferTopic, nodeTopics } from '../shared/wire/index.js';
import { until } from './start-agent.js';

const REPLY = 'mafat/clients/tester/answers';
const TOPICS = nodeTopics('mafat', 'test');
export const INFER_TOPIC = inferTopic('mafat', 'test', 'detector');

export interface Answer {
  readonly id?: string;
  readonly error?: string;
  readonly parameters?: { readonly status: number };
  readonly outputs?: readonly { readonly name: string; readonly data: readonly (number | string)[] }[];
}

/** What the agent says of a frame. */
export interface FrameEvent {
  readonly plan: string;
  readonly detections: readonly object[];
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

/** Input of a request that sends an encoded image. */
export function encodedInput(image: Uint8Array): object {
  const data = [Buffer.from(image).toString('base64')];
  return { name: 'image', shape: [1], datatype: 'BYTES', data };
}

export async function openClient(context: TestContext, port: number) {
  const answers: Answer[] = [];
  const events: FrameEvent[] = [];
  let health: NodeHealth | undefined;
  let status: string | undefined;
  const take = ({ topic, payload }: LinkMessage) => {
    const text = Buffer.from(payload).toString();
    if (topic === TOPICS.status) {
      status = text;
      return;
    }
    const message: unknown = JSON.parse(text);
    if (topic === REPLY) answers.push(message as Answer);
    else if (topic === TOPICS.events) events.push(message as FrameEvent);
    else health = message as NodeHealth;
  };
  const link = new MqttLink(
    {
      server: `mqtt://127.0.0.1:${port}`,
      clientId: 'tester',
      keepaliveSeconds: 30,
      maxPayloadBytes: 2 ** 25,
    },
    { onConnect: () => undefined, onOffline: () => undefined, onMessage: take },
  );
  for (const topic of [REPLY, TOPICS.events, TOPICS.health, TOPICS.status]) link.subscribe(topic);
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
  /** The next report that the agent makes. */
  const nextHealth = async (): Promise<NodeHealth> => {
    const before = health?.at;
    await until(() => health !== undefined && health.at !== before);
    return health as NodeHealth;
  };
  return { link, answers, events, ask, nextHealth, health: () => health, status: () => status };
}
