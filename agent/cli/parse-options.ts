/**
 * Parses values of command-line options. Each function throws InvalidArgumentError, which commander prints
 * with the option's name.
 */

import { InvalidArgumentError } from 'commander';
import type { Level } from '../../shared/predict/index.js';
import { LEVELS } from '../../shared/predict/index.js';
import type { WeightsPolicy } from '../../shared/search/index.js';
import { parsePlan } from '../../shared/search/index.js';
import { parseByteSize } from '../config/byte-size.js';
import { configSchema } from '../config/config-schema.js';

/** A size of memory in bytes, by the configuration's rule: `64M`, `1.5G`, `50000000`. */
export function parseMemory(text: string): number {
  return asArgument(() => parseByteSize(text));
}

/** A size in pixels, such as `608x416`: width, then height. */
export function parseSize(text: string): { width: number; height: number } {
  const match = /^(\d{1,5})x(\d{1,5})$/.exec(text);
  const [width, height] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || width < 2 || height < 2 || width > 65536 || height > 65536) {
    throw new InvalidArgumentError('Expected WIDTHxHEIGHT, such as 608x416, from 2 to 65536.');
  }
  return { width, height };
}

/** A range of layers, such as `0-15`, both included. */
export function parseLayers(text: string): { from: number; to: number } {
  const match = /^(\d{1,4})-(\d{1,4})$/.exec(text);
  const [from, to] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || from > to) throw new InvalidArgumentError('Expected FIRST-LAST, such as 0-15.');
  return { from, to };
}

/** A finite number, or a ratio such as `1/255`. */
export function parseNumber(text: string): number {
  const [over = '', under = '1', ...more] = text.split('/');
  const value = Number(over) / Number(under);
  if (over.trim() === '' || under.trim() === '' || more.length > 0 || !Number.isFinite(value))
    throw new InvalidArgumentError('Expected a number, such as 0.5 or 1/255.');
  return value;
}

/** Numbers by channel, such as `0.485,0.456,0.406`. */
export function parseNumbers(text: string): readonly number[] {
  return text.split(',').map(parseNumber);
}

export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > 1_000_000) {
    throw new InvalidArgumentError('Expected a whole number from 1.');
  }
  return count;
}

/** A number of threads. A larger one is a typing error, and each thread takes memory. */
export function parseThreads(text: string): number {
  const count = parseCount(text);
  if (count > 256) throw new InvalidArgumentError('Expected at most 256.');
  return count;
}

export function parseSeed(text: string): number {
  const seed = Number(text);
  if (!/^\d+$/.test(text) || seed > 0xffffffff)
    throw new InvalidArgumentError('Expected a whole number below 2^32.');
  return seed;
}

export function parseRatio(text: string): number {
  const ratio = Number(text);
  if (text.trim() === '' || !(ratio >= 0 && ratio <= 1))
    throw new InvalidArgumentError('Expected a number from 0 to 1.');
  return ratio;
}

export function parseLevel(text: string): Level {
  const level = LEVELS.find((known) => known === text);
  if (level === undefined) throw new InvalidArgumentError(`Expected one of ${LEVELS.join(', ')}.`);
  return level;
}

export function parseWeights(text: string): WeightsPolicy {
  if (text === 'resident' || text === 'evictable') return text;
  throw new InvalidArgumentError('Expected resident or evictable.');
}

/** A plan's notation. Without the model only its form can be checked. */
export function parseNotation(text: string): string {
  asArgument(() => parsePlan(text));
  return text;
}

/** The URL of a broker. It may contain user name and password, since the command has no other option for them. */
export function parseServer(text: string): string {
  const bare = text.replace(/^(mqtts?:\/\/)[^/@]*@/, '$1');
  if (text === 'embedded' || !configSchema({ mqtt: { server: bare } }).isValid) {
    throw new InvalidArgumentError('Expected mqtt://host:port or mqtts://host:port.');
  }
  return text;
}

export function parseNode(text: string): string {
  return asConfigured(text, { node: text });
}

export function parseBase(text: string): string {
  return asConfigured(text, { mqtt: { base: text } });
}

export function parseModel(text: string): string {
  return asConfigured(text, { models: [{ name: text }] });
}

/** A value by the rule of the configuration file. No agent that runs can have any other. */
function asConfigured(text: string, config: object): string {
  const checked = configSchema(config);
  const [issue] = checked.isValid ? [] : checked.issues;
  if (issue !== undefined && issue.kind !== 'unknown-key') {
    throw new InvalidArgumentError(`Expected ${issue.expected}.`);
  }
  return text;
}

/** Result of a parser, whose errors become errors of the command line. */
function asArgument<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

/** Collects the values of an option that may be given more than once. */
export function collect(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, text];
}
