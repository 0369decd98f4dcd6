/**
 * Parses inference requests in the JSON of the Open Inference Protocol. The input is the network's input tensor or
 * an encoded JPEG, PNG or WebP image, as a BYTES tensor in base64.
 *
 * A request may be hostile until it is parsed, so every list, text and depth has a limit.
 * Source: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md.
 */

import type { DataType } from '../graph/index.js';
import { elementCount } from '../graph/index.js';
import type { Issue, KeyPath, ValueOf } from '../rules/index.js';
import { anything, list, openMap, orDefault, record, text, valueThat, wholeNumber } from '../rules/index.js';
import { RequestError } from './request-error.js';

/** Datatypes that the image input of a network may have. */
const INPUT_TYPES: ReadonlyMap<string, DataType> = new Map([
  ['FP32', 'float32'],
  ['UINT8', 'uint8'],
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
  data: list(anything()),
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
  | { readonly kind: 'encoded'; readonly name: string; readonly base64: string }
  | {
      readonly kind: 'tensor';
      readonly name: string;
      readonly dtype: DataType;
      readonly shape: readonly number[];
      readonly values: readonly number[];
    };

export interface InferenceRequest {
  readonly id?: string;
  /** Topic for the answer, from `parameters.reply_to`. MQTT 5 carries it as the Response Topic instead. */
  readonly replyTo?: string;
  /** Least confidence of a detection, from `parameters.threshold`. */
  readonly threshold?: number;
  readonly input: InferenceInput;
  /** Names of the requested outputs; absent if the answer is what the model's decoder gives. */
  readonly outputs?: readonly string[];
}

/** Request in a JSON text. @throws {RequestError} naming the first field that is wrong. */
export function parseInferenceRequest(json: string): InferenceRequest {
  const checked = requestSchema(parseJson(json));
  if (!checked.isValid) throw faultOf(checked.issues);
  const { id, parameters, inputs, outputs } = checked.value;
  const [input] = inputs;
  if (input === undefined) throw new RequestError('inputs', 'expected one input');
  return {
    input: readInput(input),
    ...(id === undefined ? {} : { id }),
    ...readParameters(parameters),
    ...(outputs === undefined ? {} : { outputs: readNames(outputs) }),
  };
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
): Pick<InferenceRequest, 'replyTo' | 'threshold'> {
  const { reply_to: replyTo, threshold } = parameters;
  if (replyTo !== undefined && typeof replyTo !== 'string') {
    throw new RequestError('parameters.reply_to', `${replyTo}, expected a topic`);
  }
  const isRatio = typeof threshold === 'number' && threshold >= 0 && threshold <= 1;
  if (threshold !== undefined && !isRatio) {
    throw new RequestError('parameters.threshold', `${threshold}, expected a number from 0 to 1`);
  }
  return {
    ...(replyTo === undefined ? {} : { replyTo }),
    ...(typeof threshold === 'number' ? { threshold } : {}),
  };
}

function readInput(input: RequestInput): InferenceInput {
  if (input.datatype === 'BYTES') return { kind: 'encoded', name: input.name, base64: readImage(input) };
  const dtype = INPUT_TYPES.get(input.datatype);
  if (dtype === undefined) {
    const known = [...INPUT_TYPES.keys(), 'BYTES'].join(', ');
    throw new RequestError('inputs[0].datatype', `"${input.datatype}", expected ${known}`);
  }
  return { kind: 'tensor', name: input.name, dtype, shape: input.shape, values: readValues(input) };
}

function readImage({ shape, data }: RequestInput): string {
  if (elementCount(shape) !== 1 || data.length !== 1) {
    throw new RequestError(
      'inputs[0].shape',
      `[${shape.join(', ')}] with ${data.length} elements, expected one image`,
    );
  }
  const [base64] = data;
  if (typeof base64 !== 'string' || !isBase64(base64)) {
    throw new RequestError('inputs[0].data[0]', 'not base64');
  }
  return base64;
}

function isBase64(text: string): boolean {
  return text.length > 0 && text.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text);
}

interface ValuePlace {
  readonly datatype: string;
  readonly at: number;
}

/** Refuses a value that its datatype can't hold, since it would silently become another value. */
function checkValue(value: unknown, { datatype, at }: ValuePlace): number {
  const isByte = datatype === 'UINT8';
  const fits = isByte
    ? Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 255
    : typeof value === 'number' && Number.isFinite(Math.fround(value));
  if (fits) return Number(value);
  const found = typeof value === 'number' ? String(value) : typeof value;
  const expected = isByte ? 'a whole number from 0 to 255' : 'a finite 32-bit float';
  throw new RequestError('inputs[0].data', `element ${at} is ${found}, expected ${expected}`);
}

/** Row-major values from a flat or nested list. @throws {RequestError} if their number isn't the shape's. */
function readValues({ shape, data, datatype }: RequestInput): readonly number[] {
  const expected = elementCount(shape);
  const values: number[] = [];
  const pending: { readonly items: readonly unknown[]; next: number }[] = [{ items: data, next: 0 }];
  while (pending.length > 0) {
    const level = pending.at(-1);
    if (level === undefined || level.next >= level.items.length) {
      pending.pop();
      continue;
    }
    const item = level.items[level.next];
    level.next += 1;
    if (Array.isArray(item) && pending.length < 8) pending.push({ items: item, next: 0 });
    else values.push(checkValue(item, { datatype, at: values.length }));
    if (values.length > expected) break;
  }
  if (values.length === expected) return values;
  const found = values.length > expected ? `more than ${expected}` : String(values.length);
  throw new RequestError(
    'inputs[0].data',
    `${found} values, expected ${expected} for shape [${shape.join(', ')}]`,
  );
}
