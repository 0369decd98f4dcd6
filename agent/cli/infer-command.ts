/** `mafat infer`: sends an image to a running agent, and prints the findings. */

import { randomUUID } from 'node:crypto';
import { Command } from 'commander';
import { elementAt } from '../../shared/graph/index.js';
import type { ErrorResponse, InferenceResponse, NodeInfo } from '../../shared/wire/index.js';
import { inferTopic, nodeTopics } from '../../shared/wire/index.js';
import { readInputFile } from '../models/read-input.js';
import type { ServerFlags } from './ask-agent.js';
import { askAgent, withServerOptions } from './ask-agent.js';
import { parseModel, parseRatio } from './parse-options.js';
import { formatTable, printJson, printLine } from './print.js';

interface InferFlags extends ServerFlags {
  readonly model: string;
  readonly image: string;
  readonly threshold?: number;
}

export function inferCommand(): Command {
  return withServerOptions(new Command('infer'))
    .description('send an image to a running agent and print the findings')
    .requiredOption('--model <name>', 'name of the model', parseModel)
    .requiredOption('--image <file>', 'JPEG, PNG or WebP image')
    .option('--threshold <ratio>', 'least confidence of a detection (default: the model’s)', parseRatio)
    .action(async (flags: InferFlags) => {
      const client = `mafat-infer-${randomUUID().slice(0, 8)}`;
      const replyTo = `${flags.base}/clients/${client}/answers`;
      const payload = writeRequest(await readImage(flags.image), { replyTo, threshold: flags.threshold });
      await checkSize(payload, flags, client);
      const answers = await askAgent(flags, {
        client,
        topics: [replyTo],
        maxBytes: Buffer.byteLength(payload),
        ask: (link) => link.publish(inferTopic(flags.base, flags.node, flags.model), payload, { qos: 1 }),
      });
      printAnswer(JSON.parse(elementAt(answers, 0)) as InferenceResponse | ErrorResponse, flags);
    });
}

/** A request as docs/protocol.md, section 2, has it. */
function writeRequest(
  image: Buffer,
  { replyTo, threshold }: { readonly replyTo: string; readonly threshold: number | undefined },
): string {
  return JSON.stringify({
    id: randomUUID(),
    parameters: { reply_to: replyTo, ...(threshold === undefined ? {} : { threshold }) },
    inputs: [{ name: 'image', shape: [1], datatype: 'BYTES', data: [image.toString('base64')] }],
  });
}

/** @throws {RangeError} if the request is too large for the node. A broker would drop it without an answer. */
async function checkSize(payload: string, flags: InferFlags, client: string): Promise<void> {
  const { info } = nodeTopics(flags.base, flags.node);
  const answers = await askAgent(flags, { client, topics: [info] });
  const { maxPayloadBytes } = JSON.parse(elementAt(answers, 0)) as NodeInfo;
  const bytes = Buffer.byteLength(payload);
  if (bytes <= maxPayloadBytes) return;
  throw new RangeError(
    `--image: ${flags.image} makes a request of ${bytes} bytes, expected at most ${maxPayloadBytes} (mqtt.maxPayload of node "${flags.node}")`,
  );
}

/** Bytes of the image file. The agent checks whether they are an image. */
async function readImage(file: string): Promise<Buffer> {
  try {
    return await readInputFile(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RangeError(`--image: ${reason}; expected a JPEG, PNG or WebP image`);
  }
}

function printAnswer(answer: InferenceResponse | ErrorResponse, { json }: InferFlags): void {
  if ('error' in answer) throw new Error(`The agent refused (${answer.parameters.status}): ${answer.error}`);
  if (json) printJson(answer);
  else printLine(describeAnswer(answer));
}

function describeAnswer({ outputs }: InferenceResponse): string {
  // Only answers with detections or classes have scores.
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
