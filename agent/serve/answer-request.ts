/** From an inference request's payload to its answer; every fault becomes an error answer that says where. */
import { elementCount } from '../../shared/graph/index.js';
import type {
  ErrorResponse,
  InferenceInput,
  InferenceRequest,
  InferenceResponse,
  ResponseTensor,
} from '../../shared/wire/index.js';
import {
  classTensors,
  datatypeOf,
  detectionTensors,
  isReplyTopic,
  parseInferenceRequest,
  RequestError,
} from '../../shared/wire/index.js';
import { decodeOutputs } from '../decode/decode-outputs.js';
import { ExecutorError } from '../engine/executor-client.js';
import type { EngineRun, InferenceEngine } from '../engine/inference-engine.js';
import { BusyError } from '../engine/inference-engine.js';
import { InputError } from '../engine/wire/input-error.js';
import type { ImageSource, OutputTensor, TensorSource } from '../engine/wire/protocol.js';
import { valuesOf } from '../engine/wire/typed-array.js';
import type { ModelRuntime } from '../planning/model-runtime.js';

export interface RequestMessage {
  readonly model: string;
  readonly payload: Uint8Array;
  /** From MQTT 5; else the request names its own. */
  readonly responseTopic?: string;
}

export interface ServedModels {
  readonly engine: InferenceEngine;
  readonly models: ReadonlyMap<string, ModelRuntime>;
  /** Largest request and answer, in bytes. */
  readonly maxPayloadBytes: number;
  /** First levels of all topics; answers go below `<base>/clients/`. */
  readonly base: string;
}

export interface Answer {
  readonly topic: string;
  readonly body: InferenceResponse | ErrorResponse;
}

/**
 * Nothing runs for a request that can't be answered.
 * @throws {RequestError} if it names no place for its answer, or one that isn't a client's.
 */
export async function answerRequest(message: RequestMessage, served: ServedModels): Promise<Answer> {
  const request = readRequest(message, served);
  const topic = message.responseTopic ?? replyTopic(request, message);
  if (topic === undefined || !isReplyTopic(served.base, topic)) {
    throw new RequestError('reply_to', `${topic ?? 'none'}, expected ${served.base}/clients/<client>/...`);
  }
  return { topic, body: await answerBody(message.model, request, served) };
}

async function answerBody(
  model: string,
  request: InferenceRequest | RequestError,
  served: ServedModels,
): Promise<Answer['body']> {
  if (request instanceof RequestError) return errorBody(request);
  try {
    return await serve(model, request, served);
  } catch (error) {
    return errorBody(error, request.id);
  }
}

/** docs/protocol.md, section 3. */
export function errorBody(error: unknown, id?: string): ErrorResponse {
  const { status, text } = describe(error);
  return { ...(id === undefined ? {} : { id }), error: text, parameters: { status } };
}

function replyTopic(
  request: InferenceRequest | RequestError,
  { payload }: RequestMessage,
): string | undefined {
  return request instanceof RequestError ? salvageReplyTo(payload) : request.replyTo;
}

/** Where a request that can't be read would have its answer: looked for at both ends of it, whatever lies between. */
function salvageReplyTo(payload: Uint8Array): string | undefined {
  const ends = [payload.subarray(0, SALVAGED_BYTES), payload.subarray(-SALVAGED_BYTES)];
  for (const end of ends) {
    const replyTo = /"reply_to"\s*:\s*"([^"\\]{1,256})"/.exec(Buffer.from(end).toString('utf8'))?.[1];
    if (replyTo !== undefined) return replyTo;
  }
  return undefined;
}

const SALVAGED_BYTES = 4096;

/** The request, or what is wrong with it. */
function readRequest(
  { payload }: RequestMessage,
  { maxPayloadBytes }: ServedModels,
): InferenceRequest | RequestError {
  const bytes = payload.byteLength;
  if (bytes > maxPayloadBytes)
    return new RequestError('request', `${bytes} bytes, expected at most ${maxPayloadBytes}`, 413);
  try {
    return parseInferenceRequest(Buffer.from(payload).toString('utf8'));
  } catch (error) {
    if (error instanceof RequestError) return error;
    throw error;
  }
}

async function serve(
  name: string,
  request: InferenceRequest,
  { engine, models, maxPayloadBytes }: ServedModels,
): Promise<InferenceResponse> {
  const model = models.get(name);
  if (model === undefined) {
    throw new RequestError(
      'model',
      `"${name}" isn't served here, expected ${[...models.keys()].join(', ') || 'none'}`,
      404,
    );
  }
  if (model.level === 2 || model.plan === undefined) {
    throw new RequestError('model', `"${name}" doesn't fit into memory now; try again in 10 s`, 503);
  }
  const run = await engine.infer(name, { source: sourceOf(request.input, model), outputs: 'values' });
  const id = request.id === undefined ? {} : { id: request.id };
  return { model_name: name, ...id, outputs: answerTensors(request, { model, run, maxPayloadBytes }) };
}

function sourceOf(input: InferenceInput, { network }: ModelRuntime): ImageSource | TensorSource {
  const { name } = network.input;
  if (input.kind === 'encoded')
    return { kind: 'bytes', name: 'inputs[0]', bytes: Buffer.from(input.base64, 'base64') };
  if (input.name !== name) throw new RequestError('inputs[0].name', `"${input.name}", expected "${name}"`);
  const values = input.dtype === 'uint8' ? Uint8Array.from(input.values) : Float32Array.from(input.values);
  return { kind: 'tensor', dtype: input.dtype, shape: input.shape, bytes: new Uint8Array(values.buffer) };
}

interface Served {
  readonly model: ModelRuntime;
  readonly run: EngineRun;
  readonly maxPayloadBytes: number;
}

/** The outputs asked for by name; else what the decoder gives. */
function answerTensors(
  { outputs, threshold }: InferenceRequest,
  { model, run, maxPayloadBytes }: Served,
): readonly ResponseTensor[] {
  const { manifest, input } = model.network;
  if (outputs !== undefined || manifest.decoder.kind === 'raw') {
    const names = outputs ?? run.outputs.map(({ name }) => name);
    checkSize(
      run.outputs.filter(({ name }) => names.includes(name)),
      maxPayloadBytes,
    );
    return names.map((name, at) => rawTensor(run.outputs, name, at));
  }
  const least = threshold ?? model.config.threshold ?? undefined;
  const { detections, classes } = decodeOutputs(run, {
    manifest,
    input,
    ...(least === undefined ? {} : { threshold: least }),
  });
  return classes === undefined ? detectionTensors(detections) : classTensors(classes);
}

/** A number takes two bytes of JSON at least: what can't fit isn't written out first. */
function checkSize(outputs: readonly OutputTensor[], maxPayloadBytes: number): void {
  const leastBytes = 2 * outputs.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (leastBytes <= maxPayloadBytes) return;
  throw new RequestError('outputs', `${leastBytes} bytes or more, expected at most ${maxPayloadBytes}`, 413);
}

function rawTensor(outputs: readonly OutputTensor[], name: string, at: number): ResponseTensor {
  const output = outputs.find((candidate) => candidate.name === name);
  if (output?.bytes === undefined) {
    const known = outputs.map((candidate) => candidate.name).join(', ');
    throw new RequestError(`outputs[${at}].name`, `"${name}", expected one of ${known}`);
  }
  const data = Array.from(valuesOf(output.dtype, output.bytes), Number);
  return { name, shape: output.shape, datatype: datatypeOf(output.dtype), data };
}

function describe(error: unknown): { readonly status: number; readonly text: string } {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof RequestError) return { status: error.status, text };
  if (error instanceof BusyError || error instanceof ExecutorError) return { status: 503, text };
  return error instanceof InputError ? { status: 400, text: `inputs[0]: ${text}` } : { status: 500, text };
}
