/** Inference requests over MQTT: JSON in, JSON out. docs/protocol.md, sections 2 and 3. */
import type {
  ErrorResponse,
  InferenceRequest,
  InferenceResponse,
  ResponseTensor,
} from '../../../../shared/wire/index.js';
import {
  classTensors,
  datatypeOf,
  detectionTensors,
  isReplyTopic,
  isTopicLevel,
  parseInferenceRequest,
  RequestError,
} from '../../../../shared/wire/index.js';
import type { OutputTensor } from '../../../engine/wire/protocol.js';
import { valuesOf } from '../../../engine/wire/typed-array.js';
import type { Inference, InferInput, InferResult } from '../../infer.js';
import type { Route } from '../dispatch.js';
import type { LinkMessage, PublishOptions } from '../mqtt-link.js';

export interface InferRouteOptions {
  readonly inference: Inference;
  /** Filter of the topics, with one wildcard for the model. */
  readonly filter: string;
  /** First levels of all topics; answers go below `<base>/clients/`. */
  readonly base: string;
  /** Largest request and answer, in bytes. */
  readonly maxPayloadBytes: number;
  /** @throws {RangeError} if the broker doesn't take the answer. */
  readonly publish: (topic: string, payload: string, options: PublishOptions) => void;
}

/** A number takes two bytes of JSON at least, with its comma. */
const JSON_BYTES_PER_VALUE = 2;

export function inferRoute(options: InferRouteOptions): Route {
  return {
    filter: options.filter,
    handle: (message, [model = '']) => answerMessage(message, { ...options, model }),
  };
}

interface Context extends InferRouteOptions {
  readonly model: string;
}

/**
 * Nothing runs for a request that can't be answered.
 * @throws {RequestError} if it names no place for its answer, or one that isn't a client's.
 */
async function answerMessage(message: LinkMessage, context: Context): Promise<void> {
  if (!isTopicLevel(context.model)) return;
  const request = readRequest(message, context);
  const topic = message.responseTopic ?? replyTopic(request, message);
  if (topic === undefined || !isReplyTopic(context.base, topic)) {
    throw new RequestError('reply_to', `${topic ?? 'none'}, expected ${context.base}/clients/<client>/...`);
  }
  const body = request instanceof RequestError ? errorBody(request) : await serve(message, request, context);
  publishAnswer({ topic, body }, message, context);
}

interface Answer {
  readonly topic: string;
  readonly body: InferenceResponse | ErrorResponse;
}

/** An answer that the broker doesn't take becomes an error that says so. */
function publishAnswer(
  { topic, body }: Answer,
  { correlationData }: LinkMessage,
  { publish }: Context,
): void {
  const options = { qos: 1, ...(correlationData === undefined ? {} : { correlationData }) } as const;
  try {
    publish(topic, JSON.stringify(body), options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    publish(topic, JSON.stringify(errorBody(new RequestError('answer', reason, 413), body.id)), options);
  }
}

async function serve(
  { expiryMs }: LinkMessage,
  request: InferenceRequest,
  { inference, model, maxPayloadBytes }: Context,
): Promise<Answer['body']> {
  const { id, threshold, outputs } = request;
  try {
    const result = await inference.infer({
      model,
      input: inputOf(request),
      job: { kind: 'request', ...(expiryMs === undefined ? {} : { deadlineMs: expiryMs }) },
      answerLimit: { maxBytes: maxPayloadBytes, bytesPerValue: JSON_BYTES_PER_VALUE },
      ...(threshold === undefined ? {} : { threshold }),
      ...(outputs === undefined ? {} : { outputs }),
    });
    return { model_name: model, ...(id === undefined ? {} : { id }), outputs: answerTensors(result) };
  } catch (error) {
    if (error instanceof RequestError) return errorBody(error, id);
    throw error;
  }
}

function errorBody({ message, status }: RequestError, id?: string): ErrorResponse {
  return { ...(id === undefined ? {} : { id }), error: message, parameters: { status } };
}

/** The request, or what is wrong with it. */
function readRequest(
  { payload }: LinkMessage,
  { maxPayloadBytes }: Context,
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

function replyTopic(request: InferenceRequest | RequestError, { payload }: LinkMessage): string | undefined {
  return request instanceof RequestError ? salvageReplyTo(payload) : request.replyTo;
}

/** The answer topic of a request that can't be parsed, looked for near both of its ends. */
function salvageReplyTo(payload: Uint8Array): string | undefined {
  const ends = [payload.subarray(0, SALVAGED_BYTES), payload.subarray(-SALVAGED_BYTES)];
  for (const end of ends) {
    const replyTo = /"reply_to"\s*:\s*"([^"\\]{1,256})"/.exec(Buffer.from(end).toString('utf8'))?.[1];
    if (replyTo !== undefined) return replyTo;
  }
  return undefined;
}

const SALVAGED_BYTES = 4096;

function inputOf({ input }: InferenceRequest): InferInput {
  if (input.kind === 'encoded')
    return { kind: 'bytes', name: 'inputs[0]', bytes: Buffer.from(input.base64, 'base64') };
  const { name, dtype, shape } = input;
  const values = dtype === 'uint8' ? Uint8Array.from(input.values) : Float32Array.from(input.values);
  return { kind: 'tensor', name, dtype, shape, bytes: new Uint8Array(values.buffer) };
}

function answerTensors({ findings, tensors }: InferResult): readonly ResponseTensor[] {
  if (tensors !== undefined) return tensors.map(rawTensor);
  return findings?.classes === undefined
    ? detectionTensors(findings?.detections ?? [])
    : classTensors(findings.classes);
}

function rawTensor({ name, shape, dtype, bytes }: OutputTensor): ResponseTensor {
  const data = Array.from(valuesOf(dtype, bytes ?? new Uint8Array()), Number);
  return { name, shape, datatype: datatypeOf(dtype), data };
}
