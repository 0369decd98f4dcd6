import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import type { ErrorResponse, InferenceResponse } from '../../shared/index.js';
import { inferTopic, nodeTopics } from '../../shared/index.js';
import { MqttLink } from '../serve/mqtt-link.js';
import { parseCount, parseRatio } from './parse-options.js';
import { formatTable, printJson, printLine } from './print.js';

interface ServerFlags {
  readonly server: string;
  readonly node: string;
  readonly base: string;
  readonly timeout: number;
  readonly json?: boolean;
}

interface InferFlags extends ServerFlags {
  readonly model: string;
  readonly image: string;
  readonly threshold?: number;
}

function withServerOptions(command: Command): Command {
  return command
    .requiredOption('--server <url>', 'broker, such as mqtt://127.0.0.1:1883')
    .requiredOption('--node <name>', 'node of the agent')
    .option('--base <topic>', 'first levels of all topics', 'mafat')
    .option('--timeout <seconds>', 'how long to wait for the answer', parseCount, 30)
    .option('--json', 'print the answer as JSON');
}

export function inferCommand(): Command {
  return withServerOptions(new Command('infer'))
    .description('send an image to a running agent and print what it finds')
    .requiredOption('--model <name>', 'model to ask')
    .requiredOption('--image <file>', 'a JPEG, PNG or WebP image')
    .option('--threshold <ratio>', 'least confidence of a detection', parseRatio)
    .action(async (flags: InferFlags) => {
      const bytes = await readFile(flags.image);
      const client = `mafat-infer-${randomUUID().slice(0, 8)}`;
      const replyTo = `${flags.base}/clients/${client}/answers`;
      const request = {
        id: randomUUID(),
        parameters: {
          reply_to: replyTo,
          ...(flags.threshold === undefined ? {} : { threshold: flags.threshold }),
        },
        inputs: [{ name: 'image', shape: [1], datatype: 'BYTES', data: [bytes.toString('base64')] }],
      };
      const payload = JSON.stringify(request);
      const answer = await exchange(
        flags,
        { client, subscribe: replyTo, maxBytes: payload.length },
        (link) => {
          link.publish(inferTopic(flags.base, flags.node, flags.model), payload, { qos: 1 });
        },
      );
      printAnswer(JSON.parse(answer) as InferenceResponse | ErrorResponse, flags);
    });
}

export function statusCommand(): Command {
  return withServerOptions(new Command('status'))
    .description('show what a running agent does, from its retained topics')
    .action(async (flags: ServerFlags) => {
      const topics = nodeTopics(flags.base, flags.node);
      const client = `mafat-status-${randomUUID().slice(0, 8)}`;
      const read = (topic: string) =>
        exchange(flags, { client, subscribe: topic, maxBytes: 0 }, () => undefined);
      const status = await read(topics.status);
      const [info, health] = [JSON.parse(await read(topics.info)), JSON.parse(await read(topics.health))];
      printJson({ node: flags.node, status, info, health });
    });
}

interface Exchange {
  readonly client: string;
  readonly subscribe: string;
  readonly maxBytes: number;
}

/** Connects, subscribes, asks, and gives the first message that comes. @throws {Error} when none comes in time. */
function exchange(
  { server, timeout, node }: ServerFlags,
  { client, subscribe, maxBytes }: Exchange,
  ask: (link: MqttLink) => void,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let reason = `no answer from node "${node}" within ${timeout} s`;
    const end = (settle: () => void) => {
      clearTimeout(timer);
      void link.stop().then(settle);
    };
    const link = new MqttLink(
      { server, clientId: client, keepaliveSeconds: 30, maxPayloadBytes: Math.max(maxBytes, 2 ** 24) },
      {
        onConnect: () => ask(link),
        onOffline: (why) => {
          reason = `no connection to ${server}: ${why}`;
        },
        onMessage: ({ payload }) => end(() => resolve(Buffer.from(payload).toString('utf8'))),
      },
    );
    const timer = setTimeout(() => end(() => reject(new Error(`Cannot ask: ${reason}`))), timeout * 1000);
    link.subscribe(subscribe);
    link.start();
  });
}

function printAnswer(answer: InferenceResponse | ErrorResponse, { json }: InferFlags): void {
  if ('error' in answer) throw new Error(`The agent refused (${answer.parameters.status}): ${answer.error}`);
  if (json) printJson(answer);
  else printLine(describeAnswer(answer));
}

function describeAnswer({ outputs }: InferenceResponse): string {
  const column = (name: string) => outputs.find((output) => output.name === name)?.data ?? [];
  const scores = column('scores');
  if (scores.length === 0) return outputs.map(({ name, shape }) => `${name}: ${shape.join('x')}`).join('\n');
  const rows = scores.map((score, at) => [
    Number(score).toFixed(3),
    String(column('labels')[at]),
    ...column('boxes')
      .slice(at * 4, at * 4 + 4)
      .map((value) => Number(value).toFixed(0)),
  ]);
  return formatTable(['confidence', 'label', 'x', 'y', 'width', 'height'], rows);
}
