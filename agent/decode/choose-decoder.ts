/** Chooses a network's decoder: the one that the user names, else the one whose outputs these are. */

import type { NetworkFacts } from './box-decoder.js';
import { BOX_DECODERS, recogniseBoxes } from './box-decoders.js';
import type { Decoder } from './decoder-schema.js';

/** Default number of classes that a classification lists. */
export const TOP_CLASSES = 5;

export type ClassifierFacts = Omit<NetworkFacts, 'isTold'>;

/** Kinds that can be named. Darknet's heads come from its own files. */
export const DECODER_KINDS: readonly string[] = [...BOX_DECODERS.map(({ kind }) => kind), 'classes', 'raw'];

/** @throws {RangeError} if the named decoder doesn't read such outputs. */
export function chooseDecoder(facts: ClassifierFacts, wanted?: string): Decoder {
  if (wanted === 'raw') return { kind: 'raw' };
  if (wanted === 'classes')
    return classesOf(facts, true) ?? refuse(facts, wanted, 'one output of a score for each class');
  const named = BOX_DECODERS.find(({ kind }) => kind === wanted);
  if (named !== undefined)
    return named.recognise({ ...facts, isTold: true }) ?? refuse(facts, named.kind, named.reads);
  return recogniseBoxes({ ...facts, isTold: false }) ?? classesOf(facts, false) ?? { kind: 'raw' };
}

/** A single output of one row is read as scores of classes. */
function classesOf({ outputs, isActivated }: ClassifierFacts, isTold: boolean): Decoder | undefined {
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
