/**
 * Takes the values of tensors out of a JSON text, so that what is left is small, whatever a client sends. `JSON.parse`
 * would make an object of each value: 8 MB of brackets took 320 MB and seconds.
 */
import { RequestError } from './request-error.js';
import { decodeUtf8 } from './utf8.js';

/** Work in steps of a few milliseconds, so that other work gets its turn between them. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** A part of the text: from its first byte to before its last one. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface CutText {
  /** The text with a number in place of each list: its place in `lists`. */
  readonly rest: string;
  /** Lists under a key `data`, brackets included. */
  readonly lists: readonly Span[];
}

/** Most bytes of a request without the values of its tensors. */
const MAX_REST = 64 * 2 ** 10;

/** Bytes of a step. */
export const TURN_BYTES = 256 * 2 ** 10;

const CODE = { quote: 0x22, backslash: 0x5c, open: 0x5b, close: 0x5d, colon: 0x3a } as const;

const KEY: readonly number[] = Array.from('"data"', (character) => character.charCodeAt(0));

/** @throws {RequestError} if the rest is too large, or a list has no end. */
export function* cutData(text: Uint8Array): Steps<CutText> {
  const lists: Span[] = [];
  const rest: string[] = [];
  let restBytes = 0;
  let [kept, at, pause] = [0, 0, TURN_BYTES];
  const keep = (to: number) => {
    restBytes += to - kept;
    if (restBytes > MAX_REST) {
      const reason = `more than ${MAX_REST} bytes beside the values of tensors`;
      throw new RequestError('request', `${reason}, expected at most ${MAX_REST}`, 413);
    }
    rest.push(decode(text, { from: kept, to }));
  };
  while (at < text.length) {
    if (at >= pause) {
      pause = at + TURN_BYTES;
      yield;
    }
    if (text[at] !== CODE.quote) {
      at += 1;
      // A text without quotes may be all brackets.
      if (at - kept > MAX_REST) keep(at);
      continue;
    }
    const key = { from: at, to: endOfText(text, at) };
    const list = listAfter(text, key);
    at = list ?? key.to;
    if (list === undefined) continue;
    keep(list);
    at = yield* endOfList(text, list);
    rest.push(String(lists.length));
    lists.push({ from: list, to: at });
    kept = at;
  }
  keep(text.length);
  return { rest: rest.join(''), lists };
}

function decode(text: Uint8Array, { from, to }: Span): string {
  return decodeUtf8(text.subarray(from, to));
}

/** Index after the closing quote of the text that begins at `from`; the end of all if there is none. */
function endOfText(text: Uint8Array, from: number): number {
  for (let at = text.indexOf(CODE.quote, from + 1); at >= 0; at = text.indexOf(CODE.quote, at + 1)) {
    let escapes = 0;
    while (text[at - 1 - escapes] === CODE.backslash) escapes += 1;
    if (escapes % 2 === 0) return at + 1;
  }
  return text.length;
}

/** Index of the list that is the value of the key `data`; undefined for another text. */
function listAfter(text: Uint8Array, { from, to }: Span): number | undefined {
  if (to - from !== KEY.length || KEY.some((code, at) => text[from + at] !== code)) return undefined;
  let at = skipBlanks(text, to);
  if (text[at] !== CODE.colon) return undefined;
  at = skipBlanks(text, at + 1);
  return text[at] === CODE.open ? at : undefined;
}

/** Index after the bracket that closes the list that begins at `from`. */
function* endOfList(text: Uint8Array, from: number): Steps<number> {
  let [depth, at, pause] = [0, from, from + TURN_BYTES];
  while (at < text.length) {
    const code = text[at];
    if (code === CODE.quote) {
      at = endOfText(text, at);
      continue;
    }
    at += 1;
    if (code === CODE.open) depth += 1;
    else if (code === CODE.close) depth -= 1;
    if (depth === 0) return at;
    if (at < pause) continue;
    pause = at + TURN_BYTES;
    yield;
  }
  throw new RequestError('request', 'not valid JSON (a list has no end)');
}

/** Index of the first byte from `at` on that isn't a blank of JSON. */
export function skipBlanks(text: Uint8Array, at: number): number {
  let next = at;
  while (isBlank(text[next])) next += 1;
  return next;
}

export function isBlank(code: number | undefined): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
