/** Command lines of the benches. Their --help shows each default as a user would type it. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { collect, parseNotation, parseThreads } from '../agent/cli/parse-options.js';
import type { Allocator } from '../shared/predict/index.js';
import { ALLOCATORS } from '../shared/predict/index.js';

/** Files that a bench writes its results to. */
export interface OutputFlags {
  readonly json?: string;
  readonly svg?: string;
}

/** Command line of a bench. @param about a sentence about what the bench does. */
export function benchCommand(name: string, about: string): Command {
  return new Command(`node dist/bench/${name}.js`)
    .description(about)
    .helpOption('-h, --help', 'print this help');
}

interface OptionValue<T> {
  readonly parse: (text: string) => T;
  /** Value of an absent option, as text. */
  readonly fallback: string;
}

/** Option with a default, which is parsed as if the user had typed it. */
export function optionOf<T>(flags: string, about: string, { parse, fallback }: OptionValue<T>): Option {
  return new Option(flags, about).argParser(parse).default(parse(fallback), fallback);
}

/** @throws {InvalidArgumentError} if the text names no allocator. */
export function parseAllocator(text: string): Allocator {
  const allocator = ALLOCATORS.find((known) => known === text);
  if (allocator === undefined) throw new InvalidArgumentError(`Expected one of ${ALLOCATORS.join(', ')}.`);
  return allocator;
}

export function threadsOption(fallback: string): Option {
  return optionOf('--threads <number>', 'threads of one operator', { parse: parseThreads, fallback });
}

/** Option that may be given more than once. */
export function planOption(): Option {
  return new Option(
    '--plan <notation>',
    "plan in place of the network's plans by hand; give the option again for more plans",
  ).argParser((text: string, all?: readonly string[]) => collect(parseNotation(text), all));
}

export function jsonOption(): Option {
  return new Option('--json <file>', 'write all figures to this file as JSON');
}

export function onnxOption(): Option {
  return optionOf('--onnx <files>', 'ONNX files of further networks, separated by commas', {
    parse: (text: string) => text.split(',').filter((file) => file !== ''),
    fallback: '',
  });
}

export function svgOption(): Option {
  return new Option('--svg <file>', 'write a plot to this file');
}

/** Parser of values that are separated by commas. */
export function listOf<T>(parse: (text: string) => T): (text: string) => readonly T[] {
  return (text) => text.split(',').map((part) => parse(part.trim()));
}
