/**
 * One inference without a transport: a model and an input become findings or tensors, or a `RequestError` that names
 * the field and the status. Every request and every camera frame goes through here.
 *
 * Decided here and nowhere else: whether a model can serve now, which threshold counts, whether the answer would be
 * too large, and which status a fault has.
 */
import type { DataType, Graph } from '../../shared/graph/index.js';
import { elementCount, knownShape, tensorAt, varyingTensors } from '../../shared/graph/index.js';
import type { Pressure } from '../../shared/wire/index.js';
import { RequestError } from '../../shared/wire/index.js';
import type { Findings } from '../decode/decode-outputs.js';
import { decodeOutputs } from '../decode/decode-outputs.js';
import { findsBoxes } from '../decode/decoder-schema.js';
import { givesPicture, pictureOf } from '../decode/output-picture.js';
import { ExecutorError } from '../engine/executor-client.js';
import type { EngineInput, EngineRun } from '../engine/inference-engine.js';
import type { JobOptions } from '../engine/request-queue.js';
import { BusyError, DeadlineError, ShareError, SuspendedError } from '../engine/request-queue.js';
import { InputError } from '../engine/wire/input-error.js';
import type { ImageSource, OutputTensor } from '../engine/wire/protocol.js';
import type { InputSpec, Manifest } from '../models/manifest.js';
import { ModelChangedError } from '../models/watch-files.js';
import { encodePng, PngSizeError } from '../picture/encode-png.js';

/** The facts of a served model that an inference needs. */
export interface ServedModel {
  readonly network: { readonly manifest: Manifest; readonly input: InputSpec; readonly graph: Graph };
  /** Undefined until the first plan is found. */
  readonly plan: object | undefined;
  readonly pressure: Pressure;
  /** Least confidence where a request names none; undefined for the manifest's. */
  readonly threshold: number | undefined;
}

/** Runs inputs; the engine does. */
export interface Runner {
  infer(name: string, input: EngineInput, job: JobOptions): Promise<EngineRun>;
}

export interface InferenceOptions {
  readonly engine: Runner;
  readonly models: {
    get(name: string): ServedModel | undefined;
    readonly names: readonly string[];
    /** Models that can't be served, with the reason. */
    readonly failures: readonly { readonly name: string; readonly reason: string }[];
  };
  /** Called with each fault of the node itself, which the client sees as status 500. */
  readonly onFault: (error: unknown) => void;
}

export type InferInput =
  | ImageSource
  /** The network's input itself: raw little-endian values, row-major. */
  | {
      readonly kind: 'tensor';
      readonly name: string;
      readonly dtype: DataType;
      readonly shape: readonly number[];
      readonly bytes: Uint8Array;
    };

export interface InferRequest {
  readonly model: string;
  readonly input: InferInput;
  /** Least confidence of a detection, 0 to 1. */
  readonly threshold?: number;
  /** Names of the tensors asked for; absent for what the model's decoder gives. */
  readonly outputs?: readonly string[];
  /** Whether a picture of the output is wanted. */
  readonly png?: boolean;
  /** Queue, priority and deadline. */
  readonly job: JobOptions;
  /** Bytes that the transport can carry, and the least that one value takes. */
  readonly answerLimit?: { readonly maxBytes: number; readonly bytesPerValue: number };
}

export interface InferResult {
  /** Notation of the plan that ran. */
  readonly plan: string;
  readonly latencyMs: number;
  /** For the input to come to the executor and to be decoded. */
  readonly readMs: number;
  /** Size of the image as given, in whose pixels boxes are; of the network's input for tensors. */
  readonly image: EngineRun['image'];
  /** Absent where tensors were asked for. */
  readonly findings?: Findings;
  /** The picture asked for, encoded. */
  readonly png?: Uint8Array;
  /** The tensors asked for, in that order; all outputs of a model without a decoder. */
  readonly tensors?: readonly OutputTensor[];
}

/** The model can't serve now, for want of memory or of its files; frames are left out, requests may come again. */
export class UnavailableError extends RequestError {}

/** Seconds after which a request may be worth another try: a queue moves on, memory takes longer to come back. */
const RETRY_S = { queue: 1, memory: 10, model: 60 } as const;

export class Inference {
  readonly #options: InferenceOptions;

  constructor(options: InferenceOptions) {
    this.#options = options;
  }

  /** @throws {RequestError} and nothing else; {UnavailableError} where the model doesn't fit into memory now. */
  async infer(request: InferRequest): Promise<InferResult> {
    try {
      const model = this.#findModel(request.model);
      checkInput(request.input, model);
      checkPicture(request, model);
      const wanted = wantedOutputs(request, model);
      checkSize(wanted ?? [], request);
      const run = await this.#options.engine.infer(
        request.model,
        { source: request.input, outputs: 'values' },
        request.job,
      );
      const result = describeRun(run, { request, model, wanted });
      return request.png === true ? { ...result, png: await drawPng(run, { request, model }) } : result;
    } catch (error) {
      const fault = asRequestError(error);
      if (fault.status === 500) this.#options.onFault(error);
      throw fault;
    }
  }

  /** Labels of the boxes that a model finds; undefined if it finds no boxes or isn't served. None may be named. */
  boxLabels(name: string): readonly string[] | undefined {
    const manifest = this.#options.models.get(name)?.network.manifest;
    return manifest !== undefined && findsBoxes(manifest.decoder) ? manifest.labels : undefined;
  }

  #findModel(name: string): ServedModel {
    const { models } = this.#options;
    const model = models.get(name);
    const failure = models.failures.find((failed) => failed.name === name);
    if (model === undefined && failure !== undefined)
      throw new UnavailableError('model', failure.reason, 503, RETRY_S.model);
    if (model === undefined) {
      const known = models.names.join(', ') || 'none';
      throw new RequestError('model', `"${name}" isn't served here, expected ${known}`, 404);
    }
    if (model.pressure === 'critical' || model.plan === undefined) {
      const text = `"${name}" doesn't fit into memory now; try again in ${RETRY_S.memory} s`;
      throw new UnavailableError('model', text, 503, RETRY_S.memory);
    }
    return model;
  }
}

function checkInput(input: InferInput, { network }: ServedModel): void {
  if (input.kind !== 'tensor' || input.name === network.input.name) return;
  throw new RequestError('inputs[0].name', `"${input.name}", expected "${network.input.name}"`);
}

/** A picture that can't be made isn't waited for. */
function checkPicture({ png, model }: InferRequest, { network }: ServedModel): void {
  const { decoder } = network.manifest;
  if (png !== true || givesPicture(decoder)) return;
  throw new RequestError('parameters.png', `"${model}" gives no picture: its decoder is ${decoder.kind}`);
}

interface OutputShape {
  readonly name: string;
  /** Of one value, if it depends on the image. */
  readonly shape: readonly number[];
}

/** The tensors that go into the answer; undefined where the decoder's findings do. */
function wantedOutputs(
  { outputs }: InferRequest,
  { network: { graph, manifest } }: ServedModel,
): readonly OutputShape[] | undefined {
  if (outputs === undefined && manifest.decoder.kind !== 'raw') return undefined;
  const known = graph.outputs.map((index): OutputShape => {
    const tensor = tensorAt(graph, index);
    const shape = varyingTensors(graph).has(index) ? [] : knownShape(tensor);
    return { name: tensor.name, shape };
  });
  if (outputs === undefined) return known;
  return outputs.map((name, at) => {
    const output = known.find((candidate) => candidate.name === name);
    if (output !== undefined) return output;
    const names = known.map((candidate) => candidate.name).join(', ');
    throw new RequestError(`outputs[${at}].name`, `"${name}", expected one of ${names}`);
  });
}

/** An answer that can't be sent isn't computed. */
function checkSize(wanted: readonly OutputShape[], { answerLimit }: InferRequest): void {
  if (answerLimit === undefined) return;
  const { maxBytes, bytesPerValue } = answerLimit;
  const leastBytes = bytesPerValue * wanted.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (leastBytes <= maxBytes) return;
  const reason = `${leastBytes} bytes or more, expected at most ${maxBytes}`;
  throw new RequestError(
    'outputs',
    `${reason}; name fewer tensors in outputs, or give the model a decoder`,
    413,
  );
}

interface RunContext {
  readonly request: InferRequest;
  readonly model: ServedModel;
  readonly wanted: readonly OutputShape[] | undefined;
}

function describeRun(run: EngineRun, { request, model, wanted }: RunContext): InferResult {
  const { manifest, input } = model.network;
  const threshold = request.threshold ?? model.threshold;
  const common = { plan: run.plan.notation, latencyMs: run.latencyMs, readMs: run.readMs, image: run.image };
  const findings =
    request.outputs === undefined
      ? {
          findings: decodeOutputs(run, {
            manifest,
            input,
            ...(threshold === undefined ? {} : { threshold }),
          }),
        }
      : {};
  const tensors =
    wanted === undefined ? {} : { tensors: wanted.map(({ name }) => outputNamed(run.outputs, name)) };
  return { ...common, ...findings, ...tensors };
}

/** Characters of base64 for a byte. */
const BASE64_RATIO = 4 / 3;

/** @throws {PngSizeError} if the picture is too large to answer. */
function drawPng(
  run: EngineRun,
  { request, model }: Pick<RunContext, 'request' | 'model'>,
): Promise<Uint8Array> {
  const maxBytes = Math.floor((request.answerLimit?.maxBytes ?? Number.POSITIVE_INFINITY) / BASE64_RATIO);
  return encodePng(pictureOf(run, model.network), { maxBytes });
}

function outputNamed(outputs: readonly OutputTensor[], name: string): OutputTensor {
  const output = outputs.find((candidate) => candidate.name === name);
  if (output !== undefined) return output;
  throw new RangeError(`Cannot answer: the run gave no output "${name}"`);
}

function asRequestError(error: unknown): RequestError {
  if (error instanceof RequestError) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof PngSizeError) return new RequestError('parameters.png', text, 413);
  if (error instanceof InputError) return new RequestError('inputs[0]', text);
  if (error instanceof DeadlineError) return new RequestError('deadline', text, 504);
  if (error instanceof SuspendedError) return new UnavailableError('model', text, 503, RETRY_S.memory);
  if (error instanceof ShareError) return new RequestError('model', text, 429, RETRY_S.queue);
  const isPassing = [BusyError, ExecutorError, ModelChangedError].some((kind) => error instanceof kind);
  return isPassing
    ? new RequestError('model', text, 503, RETRY_S.queue)
    : new RequestError('model', text, 500);
}
