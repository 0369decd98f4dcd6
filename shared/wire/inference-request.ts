/**
 * Parses inference requests in the JSON of the Open Inference Protocol. The input is the network's input tensor or
 * an encoded JPEG, PNG or WebP image, as a BYTES tensor in base64.
 *
 * A request may be hostile until it is parsed, so every list, text and depth has a limit. Values of tensors are read by
 * hand (cut-data.ts, read-data.ts); `JSON.parse` sees the rest alone.
 * Source: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md.
 */

import type { DataType } from '../graph/index.js';
import { elementCount, numberToHalf } from '../graph/index.js';
import type { Issue, KeyPath, ValueOf } from '../rules/index.js';
import { list, openMap, orDefault, record, text, valueThat, wholeNumber } from '../rules/index.js';
import type { Span, Steps } from './cut-data.js';
import { cutData } from './cut-data.js';
import type { ValueKind } from './read-data.js';
import { readBase64, readValues } from './read-data.js';
import { RequestError } from './request-error.js';
import { decodeUtf8 } from './utf8.js';

/** Numbers from here on are nearer to infinity than to the largest half. */
const HALF_LIMIT = 65520;

/** Datatypes that the image input of a network may have. A value that doesn't fit would silently become another. */
const INPUT_TYPES: ReadonlyMap<string, ValueKind & { readonly dtype: DataType }> = new Map([
  [
    'FP32',
    {
      dtype: 'float32',
      values: (length) => new Float32Array(length),
      element: (value) => value,
      fits: (value) => Number.isFinite(Math.fround(value)),
      expected: 'a finite 32-bit float',
    },
  ],
  [
    'FP16',
    {
      dtype: 'float16',
      values: (length) => new Uint16Array(length),
      element: numberToHalf,
      fits: (value) => Math.abs(value) < HALF_LIMIT,
      expected: 'a finite 16-bit float',
    },
  ],
  [
    'UINT8',
    {
      dtype: 'uint8',
      values: (length) => new Uint8Array(length),
      element: (value) => value,
      fits: (value) => Number.isInteger(value) && value >= 0 && value <= 255,
      expected: 'a whole number from 0 to 255',
    },
  ],
]);

const parametersSchema = record(
  valueThat('a text, a number or true or false', (value): value is string | number | boolean =>
    ['string', 'number', 'boolean'].includes(typeof value),
  ),
);

const tensorName = text('a name of 1 to 256 characters', ({ length }) => length >= 1 && length <= 256);

const inputSchema = openMap({
  name: tensorName,
  shape: list(wholeNumber(0), { least: 1, most: 8, expected: 'a list of 1 to 8 sizes' }),
  datatype: text('a text of at most 16 characters', ({ length }) => length <= 16),
  parameters: orDefault(parametersSchema, {}),
  /** Place of the list among those that were cut out. */
  data: valueThat('a list', (value): value is number => Number.isSafeInteger(value)),
});

const requestSchema = openMap({
  id: orDefault(
    text('a text of at most 256 characters', ({ length }) => length <= 256),
    undefined,
  ),
  parameters: orDefault(parametersSchema, {}),
  inputs: list(inputSchema, { least: 1, most: 1, expected: 'a list of one input' }),
  outputs: orDefault(
    list(openMap({ name: tensorName }), { most: 64, expected: 'a list of at most 64 outputs' }),
    undefined,
  ),
});

type RequestInput = ValueOf<typeof inputSchema>;

export type InferenceInput =
  /** An encoded image. */
  | { readonly kind: 'encoded'; readonly name: string; readonly bytes: Uint8Array }
  | {
      readonly kind: 'tensor';
      readonly name: string;
      readonly dtype: DataType;
      readonly shape: readonly number[];
      /** Little-endian values, row-major. */
      readonly bytes: Uint8Array;
    };

/** What an answer needs, even if the request is wrong. */
export interface Envelope {
  readonly id?: string;
  /** Topic for the answer, from `parameters.reply_to`. MQTT 5 carries it as the Response Topic instead. */
  readonly replyTo?: string;
}

export interface InferenceRequest extends Envelope {
  /** Least confidence of a detection, from `parameters.threshold`. */
  readonly threshold?: number;
  /** Whether the answer is to have a picture of the output, from `parameters.png`. */
  readonly png?: boolean;
  readonly input: InferenceInput;
  /** Names of the requested outputs; absent if the answer is what the model's decoder gives. */
  readonly outputs?: readonly string[];
}

/**
 * Request in a JSON text, in steps. Takes at most about twice the text's bytes.
 * @throws {RequestError} naming the first field that is wrong.
 */
export function* parseInferenceRequest(json: Uint8Array): Steps<InferenceRequest> {
  const { rest, lists } = yield* cutData(json);
  const checked = requestSchema(parseJson(rest));
  if (!checked.isValid) throw faultOf(checked.issues);
  const { id, parameters, inputs, outputs } = checked.value;
  const [input] = inputs;
  if (input === undefined) throw new RequestError('inputs', 'expected one input');
  const list = lists[input.data];
  if (list === undefined) throw new RequestError('inputs[0].data', 'expected a list');
  return {
    ...(id === undefined ? {} : { id }),
    ...readParameters(parameters),
    ...(outputs === undefined ? {} : { outputs: readNames(outputs) }),
    input: yield* readInput(json, input, list),
  };
}

/** Bytes at both ends of a text in which the fields of an envelope are looked for. */
const SALVAGED_BYTES = 4096;

/** What can be found of the envelope of a request that is wrong. */
export function salvageEnvelope(json: Uint8Array): Envelope {
  const ends = [json.subarray(0, SALVAGED_BYTES), json.subarray(-SALVAGED_BYTES)];
  const texts = ends.map((end) => decodeUtf8(end));
  const find = (pattern: RegExp) =>
    texts.map((end) => pattern.exec(end)?.[1]).find((found) => found !== undefined);
  const id = find(/"id"\s*:\s*"([^"\\]{1,256})"/);
  const replyTo = find(/"reply_to"\s*:\s*"([^"\\]{1,256})"/);
  return { ...(id === undefined ? {} : { id }), ...(replyTo === undefined ? {} : { replyTo }) };
}

function faultOf([issue]: readonly Issue[]): RequestError {
  const expected = issue?.kind === 'unknown-key' ? 'no such key' : issue?.expected;
  return new RequestError(fieldName(issue?.path ?? []), `expected ${expected}`);
}

/** @throws {RequestError} if a name comes twice. */
function readNames(outputs: readonly { readonly name: string }[]): readonly string[] {
  const names = outputs.map(({ name }) => name);
  if (new Set(names).size < names.length) throw new RequestError('outputs', 'a name comes twice');
  return names;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RequestError('request', `not valid JSON (${reason.slice(0, 200)})`);
  }
}

/** Path of a field as JavaScript writes it, such as `inputs[0].data`. */
function fieldName(path: KeyPath): string {
  const field = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('');
  return field === '' ? 'request' : field.replace(/^\./, '');
}

function readParameters(
  parameters: ValueOf<typeof parametersSchema>,
): Pick<InferenceRequest, 'replyTo' | 'threshold' | 'png'> {
  const { reply_to: replyTo, threshold, png } = parameters;
  if (replyTo !== undefined && typeof replyTo !== 'string') {
    throw new RequestError('parameters.reply_to', `${replyTo}, expected a topic`);
  }
  const isRatio = typeof threshold === 'number' && threshold >= 0 && threshold <= 1;
  if (threshold !== undefined && !isRatio) {
    throw new RequestError('parameters.threshold', `${threshold}, expected a number from 0 to 1`);
  }
  if (png !== undefined && typeof png !== 'boolean') {
    throw new RequestError('parameters.png', `${png}, expected true or false`);
  }
  return {
    ...(png === undefined ? {} : { png }),
    ...(replyTo === undefined ? {} : { replyTo }),
    ...(typeof threshold === 'number' ? { threshold } : {}),
  };
}

function* readInput(json: Uint8Array, input: RequestInput, list: Span): Steps<InferenceInput> {
  const { name, shape, datatype } = input;
  if (datatype === 'BYTES') {
    if (elementCount(shape) !== 1)
      throw new RequestError('inputs[0].shape', `[${shape.join(', ')}], expected one image`);
    return { kind: 'encoded', name, bytes: yield* readBase64(json, list) };
  }
  const kind = INPUT_TYPES.get(datatype);
  if (kind === undefined) {
    const known = [...INPUT_TYPES.keys(), 'BYTES'].join(', ');
    throw new RequestError('inputs[0].datatype', `"${datatype}", expected ${known}`);
  }
  const values = yield* readValues(json, { ...list, shape }, kind);
  return { kind: 'tensor', name, dtype: kind.dtype, shape, bytes: new Uint8Array(values.buffer) };
}
