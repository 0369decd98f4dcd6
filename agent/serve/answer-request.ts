/** From an inference request's payload to its answer; every fault becomes an error answer that says where. */
import type {
  ErrorResponse,
  InferenceInput,
  InferenceRequest,
  InferenceResponse,
  ResponseTensor,
} from '../../shared/index.js';
import {
  classTensors,
  datatypeOf,
  detectionTensors,
  parseInferenceRequest,
  RequestError,
} from '../../shared/index.js';
import { decodeOutputs } from '../decode/decode-outputs.js';
import { ExecutorError } from '../engine/executor-client.js';
import type { InferenceEngine } from '../engine/inference-engine.js';
import { BusyError } from '../engine/inference-engine.js';
import type { ImageSource, OutputTensor, TensorSource } from '../engine/protocol.js';
import { valuesOf } from '../engine/typed-array.js';
import type { ModelRuntime } from '../model-runtime.js';

export interface RequestMessage {
  readonly model: string;
  readonly payload: Uint8Array;
}

export interface ServedModels {
  readonly engine: InferenceEngine;
  readonly models: ReadonlyMap<string, ModelRuntime>;
  /** Largest request, in bytes. */
  readonly maxPayloadBytes: number;
}

export interface Answer {
  /** Topic the request itself asked for, unchecked. */
  readonly replyTo?: string;
  readonly body: InferenceResponse | ErrorResponse;
}

export async function answerRequest(message: RequestMessage, served: ServedModels): Promise<Answer> {
  let request: InferenceRequest | undefined;
  try {
    request = readRequest(message, served);
    return withReply(request, await serve(message.model, request, served));
  } catch (error) {
    const { status, text } = describe(error);
    const id = request?.id === undefined ? {} : { id: request.id };
    return withReply(request ?? salvageReplyTo(message.payload), {
      ...id,
      error: text,
      parameters: { status },
    });
  }
}

function withReply(request: Pick<InferenceRequest, 'replyTo'> | undefined, body: Answer['body']): Answer {
  return request?.replyTo === undefined ? { body } : { body, replyTo: request.replyTo };
}

/** Where a request that can't be read would have its answer: looked for at both ends of it, whatever lies between. */
function salvageReplyTo(payload: Uint8Array): { readonly replyTo: string } | undefined {
  const ends = [payload.subarray(0, SALVAGED_BYTES), payload.subarray(-SALVAGED_BYTES)];
  for (const end of ends) {
    const replyTo = /"reply_to"\s*:\s*"([^"\\]{1,256})"/.exec(Buffer.from(end).toString('utf8'))?.[1];
    if (replyTo !== undefined) return { replyTo };
  }
  return undefined;
}

const SALVAGED_BYTES = 4096;

function readRequest({ payload }: RequestMessage, { maxPayloadBytes }: ServedModels): InferenceRequest {
  if (payload.byteLength > maxPayloadBytes) {
    throw new RequestError(
      'request',
      `${payload.byteLength} bytes, expected at most ${maxPayloadBytes}`,
      413,
    );
  }
  return parseInferenceRequest(Buffer.from(payload).toString('utf8'));
}

async function serve(
  name: string,
  request: InferenceRequest,
  { engine, models }: ServedModels,
): Promise<InferenceResponse> {
  const model = models.get(name);
  if (model === undefined) {
    throw new RequestError(
      'model',
      `"${name}" isn't served here, expected ${[...models.keys()].join(', ') || 'none'}`,
      404,
    );
  }
  if (model.level === 2) {
    throw new RequestError('model', `"${name}" doesn't fit into memory now; try again in 10 s`, 503);
  }
  const run = await engine.infer(name, sourceOf(request.input, model), 'values');
  const id = request.id === undefined ? {} : { id: request.id };
  return { model_name: name, ...id, outputs: answerTensors(request, { model, run }) };
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
  readonly run: Awaited<ReturnType<InferenceEngine['infer']>>;
}

/** The outputs asked for by name; else what the decoder gives. */
function answerTensors(
  { outputs, threshold }: InferenceRequest,
  { model, run }: Served,
): readonly ResponseTensor[] {
  const { manifest, input } = model.network;
  if (outputs !== undefined || manifest.decoder.kind === 'raw') {
    const names = outputs ?? run.outputs.map(({ name }) => name);
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
  // What the executor refuses is a fault of the image or tensor that came.
  const isInput = error instanceof RangeError || error instanceof SyntaxError;
  return isInput ? { status: 400, text: `inputs[0]: ${text}` } : { status: 500, text };
}
