/** Chooses a network's decoder: the one that the user names, else the one whose outputs these are. */

import type { NetworkFacts } from './box-decoder.js';
import { BOX_DECODERS } from './box-decoders.js';
import { classMapDecoder } from './class-map-decoder.js';
import type { Decoder } from './decoder-schema.js';
import { imageDecoder } from './image-decoder.js';

/** Default number of classes that a classification lists. */
export const TOP_CLASSES = 5;

export type ClassifierFacts = Omit<NetworkFacts, 'isTold'>;

/** What the choice needs of each decoder. */
interface Row {
  readonly kind: string;
  readonly reads: string;
  readonly recognise: (facts: NetworkFacts) => Decoder | undefined;
}

/** The first that recognises a network's outputs decodes it. Darknet's heads come from its own files. */
const DECODERS: readonly Row[] = [
  // A map of the input's size is no detector's, but its sides may be the numbers of one's cells and values.
  classMapDecoder,
  ...BOX_DECODERS,
  imageDecoder,
  { kind: 'classes', reads: 'one output of a score for each class', recognise: classesOf },
  { kind: 'raw', reads: 'anything', recognise: () => ({ kind: 'raw' }) },
];

/** Kinds that can be named. */
export const DECODER_KINDS: readonly string[] = DECODERS.map(({ kind }) => kind);

/** @throws {RangeError} if the named decoder doesn't read such outputs. */
export function chooseDecoder(facts: ClassifierFacts, wanted?: string): Decoder {
  const named = DECODERS.find(({ kind }) => kind === wanted);
  if (named !== undefined)
    return named.recognise({ ...facts, isTold: true }) ?? refuse(facts, named.kind, named.reads);
  for (const { recognise } of DECODERS) {
    const decoder = recognise({ ...facts, isTold: false });
    if (decoder !== undefined) return decoder;
  }
  return { kind: 'raw' };
}

/** A single output of one row is read as scores of classes. */
function classesOf({ outputs, isActivated, isTold }: NetworkFacts): Decoder | undefined {
  const [output, ...others] = outputs;
  if (output === undefined || (others.length > 0 && !isTold)) return undefined;
  const { name, shape, dtype } = output;
  const [batch, classes, ...rest] = shape;
  const isRow = batch === 1 && classes !== undefined && classes > 1 && rest.every((dim) => dim === 1);
  if (!isRow || (dtype !== 'float32' && dtype !== 'float16')) return undefined;
  return { kind: 'classes', output: name, topK: TOP_CLASSES, softmax: !isActivated(name) };
}

function refuse({ outputs }: ClassifierFacts, kind: string, reads: string): never {
  const given = outputs.map(({ name, shape }) => `"${name}" [${shape.join(', ')}]`).join(', ');
  throw new RangeError(`Cannot use decoder ${kind}: it reads ${reads}; the network gives ${given}`);
}
