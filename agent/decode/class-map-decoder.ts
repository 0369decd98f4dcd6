/**
 * Semantic segmentation: which class each cell of a map over the input shows. Outputs are
 *
 * - scores: [1, classes, rows, cols], or [1, rows, cols, classes] of TensorFlow; the class with the highest one counts.
 * - numbers: the classes themselves, [1, rows, cols], [1, 1, rows, cols] or [1, rows, cols, 1].
 * - a plane: [1, 1, rows, cols] of one class, which cells above a value are of; the others are of class 0.
 */
import { choice, map, number, orDefault, text, wholeNumber } from '../../shared/rules/index.js';
import type { NetworkFacts, OutputShape, OutputValues, Size } from './box-decoder.js';
import { misfit } from './box-decoder.js';

export interface ClassMapSpec {
  readonly kind: 'class-map';
  readonly output: string;
  readonly form: 'scores' | 'numbers' | 'plane';
  /** Of scores: whether a class has a plane, or a cell its values side by side. */
  readonly layout: 'nchw' | 'nhwc';
  /** Number of classes; absent where the output tells only which ones occur. */
  readonly classes?: number | undefined;
  /** Of a plane: the value above which a cell is of class 1. */
  readonly cut?: number | undefined;
}

/** A class's number is a byte, as in the PNG. */
const MOST_CLASSES = 256;

export const classMapDecoder = {
  kind: 'class-map',
  reads: '[1, classes, rows, cols], [1, rows, cols] of whole numbers, or [1, 1, rows, cols]',
  schema: map({
    kind: choice(['class-map']),
    output: text(),
    form: choice(['scores', 'numbers', 'plane']),
    layout: choice(['nchw', 'nhwc']),
    classes: orDefault(wholeNumber(2, MOST_CLASSES), undefined),
    cut: orDefault(number(), undefined),
  }),
  recognise,
} as const;

/**
 * Classes of datasets that networks without labels are known by: CamVid, Cityscapes, LIP, PASCAL VOC, PASCAL Context,
 * ADE20K and COCO-Stuff, with and without a background.
 */
const KNOWN_CLASSES: ReadonlySet<number> = new Set([11, 12, 19, 20, 21, 59, 60, 150, 151, 171, 182]);

/** A map of the input's size, where nothing but a class map fits. A named decoder reads smaller ones and planes, too. */
function recognise(facts: NetworkFacts): ClassMapSpec | undefined {
  const { outputs, labels, isTold, endsOf } = facts;
  const [output] = outputs;
  if (output === undefined || !(isTold || isAlone(outputs))) return undefined;
  const found = formOf(output, facts);
  if (found === undefined || (!found.isFull && !isTold)) return undefined;
  const { form, layout, classes } = found;
  const spec = { kind: 'class-map', output: output.name, form, layout } as const;
  const ends = endsOf(output.name);
  switch (form) {
    case 'numbers':
      return spec;
    case 'plane':
      return isTold ? { ...spec, classes, cut: ends.join() === 'sigmoid' ? 0.5 : 0 } : undefined;
    case 'scores': {
      if (classes > MOST_CLASSES) return undefined;
      const isKnown = ends.every((end) => end === 'softmax') || KNOWN_CLASSES.has(classes);
      const isSure = labels === undefined ? isKnown : labels === classes;
      return isSure || isTold ? { ...spec, classes } : undefined;
    }
  }
}

/** torchvision's networks have a second head, which only training needs. */
function isAlone(outputs: readonly OutputShape[]): boolean {
  return outputs.length === 1 || outputs.map(({ name }) => name).join() === 'out,aux';
}

interface Form {
  readonly form: ClassMapSpec['form'];
  readonly layout: ClassMapSpec['layout'];
  readonly classes: number;
  /** Whether the map has the input's size. */
  readonly isFull: boolean;
}

function formOf({ name, shape, dtype }: OutputShape, facts: NetworkFacts): Form | undefined {
  const [batch, ...dims] = shape;
  if (batch !== 1 || dims.length < 2 || dims.length > 3) return undefined;
  const [first = 0, second = 0, third = 1] = dims.length === 2 ? [1, ...dims] : dims;
  const isNhwc = !hasShapeOf(facts, second, third) && hasShapeOf(facts, first, second);
  const [classes, rows, cols] = isNhwc ? [third, first, second] : [first, second, third];
  const isFull = rows === facts.height && cols === facts.width;
  const layout = isNhwc ? 'nhwc' : 'nchw';
  const isWhole = !dtype.startsWith('float') || facts.endsOf(name).join() === 'argmax';
  if (classes === 1 && isWhole) return { form: 'numbers', layout, classes, isFull };
  if (isWhole || dims.length === 2) return undefined;
  return { form: classes === 1 ? 'plane' : 'scores', layout, classes: Math.max(2, classes), isFull };
}

/** Whether a map's sides are to each other as the input's, but for rounding to whole cells. */
function hasShapeOf({ width, height }: Size, rows: number, cols: number): boolean {
  return Math.abs(rows * width - cols * height) < Math.max(width, height);
}

export interface ClassCells {
  readonly rows: number;
  readonly cols: number;
  /** Class of each cell, row by row. */
  readonly cells: Uint8Array;
}

/** @throws {RangeError} naming the output, if it has another shape than model.yaml says, or a class above 255. */
export function readClassCells(spec: ClassMapSpec, output: OutputValues): ClassCells {
  const { shape, values } = output;
  const [batch, ...dims] = shape;
  const [first = 0, second = 0, third = 1] = dims.length === 2 ? [1, ...dims] : dims;
  const [planes, rows, cols] = spec.layout === 'nhwc' ? [third, first, second] : [first, second, third];
  const expected = spec.form === 'scores' ? spec.classes : 1;
  if (batch !== 1 || planes !== expected || rows * cols * planes !== values.length)
    throw misfit(spec.output, shape, `a map of ${expected} ${expected === 1 ? 'value' : 'values'} a cell`);
  const cells = { scores: highestOf, numbers: numbersOf, plane: aboveCut }[spec.form](
    spec,
    output,
    rows * cols,
  );
  return { rows, cols, cells };
}

/** The first one of equal classes. Scores that aren't numbers lose. */
function highestOf(
  { layout, classes = 0 }: ClassMapSpec,
  { values }: OutputValues,
  count: number,
): Uint8Array {
  const cells = new Uint8Array(count);
  const highest = new Float32Array(count).fill(Number.NEGATIVE_INFINITY);
  const [classStep, cellStep] = layout === 'nhwc' ? [1, classes] : [count, 1];
  for (let classId = 0; classId < classes; classId += 1)
    for (let cell = 0; cell < count; cell += 1) {
      const score = values[classId * classStep + cell * cellStep] as number;
      if (!(score > (highest[cell] as number))) continue;
      highest[cell] = score;
      cells[cell] = classId;
    }
  return cells;
}

function numbersOf({ output }: ClassMapSpec, { values }: OutputValues): Uint8Array {
  const odd = values.find((value) => !(Number.isInteger(value) && value >= 0 && value < MOST_CLASSES));
  if (odd === undefined) return Uint8Array.from(values);
  throw new RangeError(
    `Cannot decode output "${output}": it has the class ${odd}, expected whole numbers from 0 to ${MOST_CLASSES - 1}`,
  );
}

function aboveCut({ cut = 0 }: ClassMapSpec, { values }: OutputValues): Uint8Array {
  return Uint8Array.from(values, (value) => (value > cut ? 1 : 0));
}
