import fc from 'fast-check';
import type { Graph } from '../shared/graph/index.js';
import { elementCount, tensorAt } from '../shared/graph/index.js';
import { graphOf } from './notation.js';

export interface RandomGraph {
  /** Prints as one line when a property fails; `graphOf` makes the graph of it again. */
  readonly notation: string;
}

/** Choices for one word; `a` to `c` are taken modulo whatever the word can use. */
const choices = fc.record({ kind: fc.nat(99), a: fc.nat(999), b: fc.nat(999), c: fc.nat(999) });

/**
 * Random graphs of local operators: kernels 1-7, strides 1-2, dilations, asymmetric pads, odd sizes, ceil
 * mode, residuals, concatenations, upsampling, transposed convolutions, mirrored borders, steps over rows, outputs at
 * several strides.
 */
export function randomGraph({
  maxSize,
  maxWords,
}: {
  maxSize: number;
  maxWords: number;
}): fc.Arbitrary<RandomGraph> {
  const size = fc.integer({ min: 9, max: maxSize });
  return fc
    .tuple(size, size, fc.array(choices, { minLength: 2, maxLength: maxWords }))
    .map(([rows, cols, words]) => ({ notation: growNotation(`3x${rows}x${cols}:`, words) }));
}

type Choices = { readonly kind: number; readonly a: number; readonly b: number; readonly c: number };

/** Adds word after word, leaving out those that don't fit the maps there are. */
function growNotation(head: string, words: readonly Choices[]): string {
  let notation = head;
  let graph: Graph | undefined;
  for (const choice of words) {
    const candidate = `${notation} ${wordOf(graph, choice)}`;
    try {
      const grown = graphOf(candidate);
      if (isLarge(grown)) continue;
      graph = grown;
      notation = candidate;
    } catch (error) {
      if (!(error instanceof RangeError) && !(error instanceof SyntaxError)) throw error;
    }
  }
  return graph === undefined || graph.nodes.length === 0 ? `${head} c4k3p1` : notation;
}

/** Most values of a map, so that a run takes milliseconds: words that enlarge follow each other in some graphs. */
const MOST_VALUES = 2e5;

function isLarge({ tensors }: Graph): boolean {
  return tensors.some(({ shape }) => elementCount(shape ?? []) > MOST_VALUES);
}

function wordOf(graph: Graph | undefined, { kind, a, b, c }: Choices): string {
  const channels = 4 * (1 + (a % 3));
  const kernel = 1 + (b % 7);
  const stride = 1 + (c % 2);
  const pads = [a, b, c, a + b].map((value) => value % Math.max(1, Math.min(kernel, 4))).join('.');
  const grow = 1 + (b % 3);
  if (kind < 6) return `w${channels}k${kernel}s${grow}p${pads}o${a % grow}d${1 + (c % 2)}g${[1, 4][a % 2]}`;
  if (kind < 8) return ['v2', 'i2', 'i2'][a % 3] ?? 'v2';
  if (kind < 10) return ['z1~', 'z2~', 'z1=', 'z3=', 'z-1', 'z-2'][a % 6] ?? 'z1~';
  if (kind < 12) return `q${1 + (a % 3)}.${b % 4}.${c % 4}`;
  if (kind < 34) return `c${channels}k${kernel}s${stride}p${pads}`;
  if (kind < 38) return `c${channels}k3p2d2`;
  if (kind < 44) return `c4k3p1g${[1, 2, 4][a % 3]}`;
  if (kind < 52) return `m${1 + kernel}s${stride}p${pads}${a % 2 === 0 ? '^' : ''}`;
  if (kind < 58) return `a${1 + kernel}s${stride}p${pads}${b % 2 === 0 ? '+' : ''}${a % 3 === 0 ? '^' : ''}`;
  if (kind < 64) return ['r', 'l', 't', 'h', '*'][a % 5] ?? 'r';
  if (kind < 70) return ['u2', 'v2', 'u3', 'd2', 's2', 'z1'][a % 6] ?? 'u2';
  if (kind < 84) return joinWord(graph, { kind, a, b, c });
  if (kind < 90) return '!';
  return `@${a % Math.max(1, featureCount(graph))}`;
}

/** An addition, product or concatenation with some earlier tensor of the same height and width, if there is one. */
function joinWord(graph: Graph | undefined, { a, b }: Choices): string {
  if (graph === undefined) return '!';
  const features = [graph.inputs[0] ?? -1, ...graph.nodes.map(({ outputs }) => outputs[0] ?? -1)];
  const shapes = features.map((index) => tensorAt(graph, index).shape ?? []);
  const last = shapes.at(-1) ?? [];
  const fitting = shapes.flatMap((shape, at) => (shape.slice(2).join() === last.slice(2).join() ? [at] : []));
  const other = fitting[b % Math.max(1, fitting.length)] ?? 0;
  const same = shapes[other]?.join() === last.join();
  // A product is gated, as in real networks: maps that are squared again and again amplify any rounding.
  if (same && a % 3 !== 0) return a % 3 === 1 ? `+${other}` : `t x${other}`;
  return `&${other}`;
}

function featureCount(graph: Graph | undefined): number {
  return graph === undefined ? 1 : graph.nodes.length + 1;
}

/** Whether a notation makes a graph: words that fit a map may not fit a narrower or a higher one. */
export function isGraph(notation: string): boolean {
  try {
    const graph = graphOf(notation);
    return graph.nodes.length > 0 && !isLarge(graph);
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
