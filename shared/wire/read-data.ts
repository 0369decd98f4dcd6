/** Reads the values of a tensor from a JSON list by hand, so that a request costs its bytes and its values, nothing else. */
import type { Span, Steps } from './cut-data.js';
import { isBlank, skipBlanks, TURN_BYTES } from './cut-data.js';
import { RequestError } from './request-error.js';
import { decodeUtf8 } from './utf8.js';

/** Where faults are reported. */
const FIELD = 'inputs[0].data';

const CODE = { quote: 0x22, comma: 0x2c, open: 0x5b, close: 0x5d, equals: 0x3d } as const;

/** Levels of nested lists. */
const MAX_DEPTH = 8;

/** Longest number; the longest float that JavaScript writes has 24 characters. */
const MAX_NUMBER = 64;

const NUMBER = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;

/** Values of base64's characters; 255 for all others. */
const SEXTETS = Uint8Array.from({ length: 256 }, (_, code) => {
  const at = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'.indexOf(
    String.fromCharCode(code),
  );
  return at < 0 ? 255 : at;
});

/** The one text of a list, from base64. @throws {RequestError} if it isn't one, or the list isn't one text. */
export function* readBase64(text: Uint8Array, { from, to }: Span): Steps<Uint8Array> {
  const start = skipBlanks(text, from + 1);
  let end = text.indexOf(CODE.quote, start + 1);
  const isAlone = text[start] === CODE.quote && end > 0 && skipBlanks(text, end + 1) === to - 1;
  if (!isAlone) throw new RequestError(FIELD, 'expected one image in base64');
  const fault = new RequestError(`${FIELD}[0]`, 'not base64');
  const first = start + 1;
  if (end === first) throw new RequestError(`${FIELD}[0]`, 'empty, expected an image in base64');
  if ((end - first) % 4 !== 0) throw fault;
  let padding = 0;
  while (padding < 2 && text[end - 1] === CODE.equals) {
    end -= 1;
    padding += 1;
  }
  const bytes = new Uint8Array(Math.floor(((end - first) * 3) / 4));
  let written = 0;
  for (let at = first; at < end; at += 4) {
    if ((at - first) % TURN_BYTES === 0) yield;
    // Characters of the padding count as zeros.
    const [a, b] = [sextet(text, at, end), sextet(text, at + 1, end)];
    const [c, d] = [sextet(text, at + 2, end), sextet(text, at + 3, end)];
    if ((a | b | c | d) > 63) throw fault;
    bytes[written] = (a << 2) | (b >> 4);
    // Writes after the end do nothing.
    bytes[written + 1] = ((b & 15) << 4) | (c >> 2);
    bytes[written + 2] = ((c & 3) << 6) | d;
    written += 3;
  }
  return bytes;
}

function sextet(text: Uint8Array, at: number, end: number): number {
  return at < end ? (SEXTETS[text[at] as number] as number) : 0;
}

type TensorValues = Uint8Array | Uint16Array | Float32Array;

/** Kind of the values: what fits, and how it is called. */
export interface ValueKind {
  readonly values: (length: number) => TensorValues;
  /** What a value is stored as. */
  readonly element: (value: number) => number;
  readonly fits: (value: number) => boolean;
  readonly expected: string;
}

export interface TensorPlace extends Span {
  readonly shape: readonly number[];
}

/** Row-major values of a flat or nested list. @throws {RequestError} if one doesn't fit, or there are more or fewer. */
export function* readValues(text: Uint8Array, place: TensorPlace, kind: ValueKind): Steps<TensorValues> {
  const expected = place.shape.reduce((product, size) => product * size, 1);
  // A value takes a character and a comma, so that a shape alone allocates nothing.
  if (expected > (place.to - place.from) / 2) throw wrongCount(place, 'fewer');
  const reader = new ListReader(text, place, kind, kind.values(expected));
  for (let more = true; more; ) {
    more = reader.read(TURN_BYTES);
    if (more) yield;
  }
  return reader.values;
}

function wrongCount({ shape }: TensorPlace, found: string): RequestError {
  const expected = shape.reduce((product, size) => product * size, 1);
  return new RequestError(FIELD, `${found} values, expected ${expected} for shape [${shape.join(', ')}]`);
}

/** Reads values in parts. */
class ListReader {
  readonly values: TensorValues;
  readonly #text: Uint8Array;
  readonly #place: TensorPlace;
  readonly #kind: ValueKind;
  #at: number;
  #depth = 0;
  #count = 0;
  /** Whether a value or a list may come next, and whether a comma or the end of a list may. */
  #mayBegin = true;
  #mayEnd = false;

  constructor(text: Uint8Array, place: TensorPlace, kind: ValueKind, values: TensorValues) {
    this.values = values;
    this.#text = text;
    this.#place = place;
    this.#kind = kind;
    this.#at = place.from;
  }

  /** @returns whether there is more to read. */
  read(bytes: number): boolean {
    const pause = this.#at + bytes;
    while (this.#at < this.#place.to) {
      if (this.#at >= pause) return true;
      this.#readNext();
    }
    if (this.#count !== this.values.length) throw wrongCount(this.#place, String(this.#count));
    return false;
  }

  #readNext(): void {
    const code = this.#text[this.#at] as number;
    if (isBlank(code)) this.#at += 1;
    else if (code === CODE.open) this.#open();
    else if (code === CODE.close) this.#close();
    else if (code === CODE.comma) this.#pass();
    else this.#readValue();
  }

  #open(): void {
    if (!this.#mayBegin || this.#depth === MAX_DEPTH) throw this.#fault('a list');
    this.#depth += 1;
    this.#at += 1;
    this.#mayEnd = true;
    this.#isEmpty = true;
  }

  /** Whether the list that was just opened has no item yet; only then may it end without one. */
  #isEmpty = false;

  #close(): void {
    if (!this.#mayEnd || (this.#mayBegin && !this.#isEmpty)) throw this.#fault('the end of a list');
    this.#depth -= 1;
    this.#at += 1;
    this.#mayBegin = false;
    this.#isEmpty = false;
  }

  #pass(): void {
    if (this.#mayBegin) throw this.#fault('a comma');
    this.#at += 1;
    this.#mayBegin = true;
    this.#isEmpty = false;
  }

  #readValue(): void {
    if (!this.#mayBegin) throw this.#fault('a value without a comma before it');
    const start = this.#at;
    while (this.#at < this.#place.to && !isDelimiter(this.#text[this.#at])) this.#at += 1;
    if (this.#count >= this.values.length) throw wrongCount(this.#place, `more than ${this.values.length}`);
    const value = smallWhole(this.#text, start, this.#at) ?? this.#numberFrom(start);
    if (!this.#kind.fits(value)) throw this.#fault(String(value));
    this.values[this.#count] = this.#kind.element(value);
    this.#count += 1;
    this.#mayBegin = false;
    this.#isEmpty = false;
  }

  #numberFrom(start: number): number {
    const shown = decodeUtf8(this.#text.subarray(start, Math.min(this.#at, start + MAX_NUMBER)));
    if (this.#at - start > MAX_NUMBER || !NUMBER.test(shown)) throw this.#fault(describe(shown));
    return Number(shown);
  }

  #fault(found: string): RequestError {
    return new RequestError(FIELD, `element ${this.#count} is ${found}, expected ${this.#kind.expected}`);
  }
}

function describe(shown: string): string {
  return shown.startsWith('"') ? 'a text' : shown.slice(0, 20);
}

function isDelimiter(code: number | undefined): boolean {
  return code === CODE.comma || code === CODE.open || code === CODE.close || isBlank(code);
}

/** A whole number of up to nine digits, which most are; undefined for others. */
function smallWhole(text: Uint8Array, from: number, to: number): number | undefined {
  const length = to - from;
  if (length < 1 || length > 9 || (text[from] === 0x30 && length > 1)) return undefined;
  let value = 0;
  for (let at = from; at < to; at += 1) {
    const digit = (text[at] as number) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}
