/** Inference requests over MQTT: JSON in, JSON out. docs/protocol.md, sections 2 and 3. */
import { setImmediate as turn } from 'node:timers/promises';
import type {
  Envelope,
  ErrorResponse,
  InferenceRequest,
  InferenceResponse,
  ResponseTensor,
  Steps,
} from '../../../../shared/wire/index.js';
import {
  classMapTensors,
  classTensors,
  clientOf,
  datatypeOf,
  detectionTensors,
  isTopicLevel,
  parseInferenceRequest,
  pictureTensor,
  placeTensors,
  RequestError,
  salvageEnvelope,
} from '../../../../shared/wire/index.js';
import type { OutputTensor } from '../../../engine/wire/protocol.js';
import { numberMaker, valuesOf } from '../../../engine/wire/typed-array.js';
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

/** The topic's wildcards stand for the model, and for the sender where the broker appends it. */
export function inferRoute(options: InferRouteOptions): Route {
  return {
    filter: options.filter,
    handle: (message, [model = '', sender]) => answerMessage(message, { ...options, model, sender }),
  };
}

interface Context extends InferRouteOptions {
  readonly model: string;
  /** Client id of who asks; undefined where the broker doesn't say. */
  readonly sender: string | undefined;
}

/**
 * Nothing runs for a request that can't be answered.
 * @throws {RequestError} if it names no place for its answer, or one that isn't its client's.
 */
async function answerMessage(message: LinkMessage, context: Context): Promise<void> {
  if (!isTopicLevel(context.model)) return;
  const { base, sender } = context;
  const request = await readRequest(message, context);
  const envelope = request instanceof RequestError ? salvageEnvelope(message.payload) : request;
  const topic = message.responseTopic ?? envelope.replyTo;
  const client = topic === undefined ? undefined : clientOf(base, topic);
  if (topic === undefined || client === undefined || client !== (sender ?? client)) {
    const expected = `${base}/clients/${sender ?? '<client>'}/...`;
    throw new RequestError('reply_to', `${topic ?? 'none'}, expected ${expected}`);
  }
  const body =
    request instanceof RequestError
      ? errorBody(request, envelope)
      : await serve(message, request, { ...context, client });
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
    publish(topic, JSON.stringify(errorBody(new RequestError('answer', reason, 413), body)), options);
  }
}

async function serve(
  { expiryMs }: LinkMessage,
  request: InferenceRequest,
  { inference, model, maxPayloadBytes, client }: Context & { readonly client: string },
): Promise<Answer['body']> {
  const { id, threshold, outputs, png } = request;
  try {
    const result = await inference.infer({
      model,
      input: inputOf(request),
      job: { kind: 'request', client, ...(expiryMs === undefined ? {} : { deadlineMs: expiryMs }) },
      answerLimit: { maxBytes: maxPayloadBytes, bytesPerValue: JSON_BYTES_PER_VALUE },
      ...(threshold === undefined ? {} : { threshold }),
      ...(png === undefined ? {} : { png }),
      ...(outputs === undefined ? {} : { outputs }),
    });
    const { plan, readMs, latencyMs } = result;
    const parameters = { plan, read_ms: tenths(readMs), run_ms: tenths(latencyMs) };
    return {
      model_name: model,
      ...(id === undefined ? {} : { id }),
      parameters,
      outputs: answerTensors(result),
    };
  } catch (error) {
    if (error instanceof RequestError) return errorBody(error, request);
    throw error;
  }
}

function tenths(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}

function errorBody({ message, status, retryAfterS }: RequestError, { id }: Envelope): ErrorResponse {
  const retry = retryAfterS === undefined ? {} : { retry_after: retryAfterS };
  return { ...(id === undefined ? {} : { id }), error: message, parameters: { status, ...retry } };
}

/** The request, or what is wrong with it. */
async function readRequest(
  { payload }: LinkMessage,
  { maxPayloadBytes }: Context,
): Promise<InferenceRequest | RequestError> {
  const bytes = payload.byteLength;
  if (bytes > maxPayloadBytes)
    return new RequestError('request', `${bytes} bytes, expected at most ${maxPayloadBytes}`, 413);
  try {
    return await inTurns(parseInferenceRequest(payload));
  } catch (error) {
    if (error instanceof RequestError) return error;
    throw error;
  }
}

/** Takes the steps of some work. Cameras, timers and other messages get their turn between them. */
async function inTurns<T>(steps: Steps<T>): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    await turn();
  }
}

function inputOf({ input }: InferenceRequest): InferInput {
  return input.kind === 'encoded' ? { kind: 'bytes', name: 'inputs[0]', bytes: input.bytes } : input;
}

function answerTensors({ png, ...result }: InferResult): readonly ResponseTensor[] {
  const picture = png === undefined ? [] : [pictureTensor(Buffer.from(png).toString('base64'))];
  return [...resultTensors(result), ...picture];
}

function resultTensors({ findings, tensors }: InferResult): readonly ResponseTensor[] {
  if (tensors !== undefined) return tensors.map(rawTensor);
  const { shares, classMap, picture } = findings ?? {};
  if (picture !== undefined) return placeTensors(picture);
  if (shares !== undefined && classMap !== undefined) return classMapTensors({ shares, classMap });
  return findings?.classes === undefined
    ? detectionTensors(findings?.detections ?? [])
    : classTensors(findings.classes);
}

function rawTensor({ name, shape, dtype, bytes }: OutputTensor): ResponseTensor {
  const data = Array.from(valuesOf(dtype, bytes ?? new Uint8Array()), numberMaker(dtype));
  return { name, shape, datatype: datatypeOf(dtype), data };
}
