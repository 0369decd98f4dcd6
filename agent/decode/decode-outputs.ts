/** Decodes the outputs of a network to findings, as the model's manifest says. */
import type { DetectionHead } from '../../shared/darknet/index.js';
import type { ImageInput, OutputTensor, RunResult } from '../engine/wire/protocol.js';
import { marginOf, seenPart, shownSize } from '../engine/wire/shown-size.js';
import { softmax } from './activations.js';
import type { OutputValues, Size } from './box-decoder.js';
import { isDrawable } from './box-decoder.js';
import type { ClassMap, ClassShare } from './class-map.js';
import { cropCells, describeMap, sharesOf } from './class-map.js';
import type { ClassMapSpec } from './class-map-decoder.js';
import { readClassCells } from './class-map-decoder.js';
import { decodeHead } from './darknet-head.js';
import { decodeBoxes } from './decode-boxes.js';
import type { Decoder } from './decoder-schema.js';
import type { Candidate, Corner, Detection } from './detection.js';
import type { InputScaling } from './image-decoder.js';
import { pictureSize } from './image-decoder.js';
import { outputOf, readOutput } from './read-output.js';
import { withOutline } from './segment-outline.js';
import type { Fitted, FittedInput, ShownCells } from './shown-cells.js';
import { shownCells } from './shown-cells.js';
import { suppressOverlaps } from './suppress-overlaps.js';

export interface ClassScore {
  readonly label: string;
  readonly classId: number;
  /** Probability, 0 to 1. */
  readonly confidence: number;
}

/** The findings in one image, by the kind of its model's decoder. */
export interface Findings {
  /** Detections, most confident first; empty if the decoder finds no boxes. */
  readonly detections: readonly Detection[];
  /** Most probable classes, if the decoder is `classes`. */
  readonly classes?: readonly ClassScore[];
  /** Classes that a class map shows, if the decoder is `class-map`, and the map itself. */
  readonly shares?: readonly ClassShare[];
  readonly classMap?: ClassMap;
  /** Size of the picture that the network gives, and the part of the image that it shows, if the decoder is `image`. */
  readonly picture?: PicturePlace;
  /** Names and shapes of the outputs, if the decoder is `raw`. */
  readonly outputs?: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

export interface PicturePlace extends Size {
  readonly area: ShownCells['area'];
}

/** Whether these are findings of a decoder of boxes, of which there may be none. */
export function areBoxes({ classes, shares, picture, outputs }: Findings): boolean {
  return [classes, shares, picture, outputs].every((other) => other === undefined);
}

/** What of a model's manifest is needed. */
export interface DecodedModel {
  readonly decoder: Decoder;
  readonly input: Pick<ImageInput, 'width' | 'height'> & InputScaling;
  readonly labels: readonly string[];
}

export interface DecodeOptions {
  readonly manifest: DecodedModel;
  /** Input of this run, whose size may differ from the manifest's. */
  readonly input: FittedInput;
  /** Least confidence of a detection. By default the manifest's. */
  readonly threshold?: number;
}

/** Whether the decoder reads the values of outputs; else it reads only their shapes. */
export function needsValues({ decoder }: Pick<DecodedModel, 'decoder'>): boolean {
  return decoder.kind !== 'raw' && decoder.kind !== 'image';
}

export function decodeOutputs({ image, outputs }: RunResult, options: DecodeOptions): Findings {
  const { decoder, labels } = options.manifest;
  switch (decoder.kind) {
    case 'raw':
      return { detections: [], outputs: outputs.map(({ name, shape }) => ({ name, shape })) };
    case 'classes': {
      const scores = [...readOutput(outputs, decoder.output).values];
      const probabilities = decoder.softmax ? softmax(scores) : scores;
      const ranked = probabilities
        .map((confidence, classId) => ({ label: labelOf(labels, classId), classId, confidence }))
        .sort((a, b) => b.confidence - a.confidence);
      return { detections: [], classes: ranked.slice(0, decoder.topK) };
    }
    case 'class-map': {
      const fitted = { image, input: options.input, labels };
      return { detections: [], ...classesIn(decoder, readOutput(outputs, decoder.output), fitted) };
    }
    case 'image': {
      const { rows, cols } = pictureSize(decoder, outputOf(outputs, decoder.output));
      const { cells, area } = shownCells({ width: cols, height: rows }, { image, input: options.input });
      return { detections: [], picture: { width: cells.width, height: cells.height, area } };
    }
    case 'darknet': {
      const threshold = options.threshold ?? decoder.threshold;
      const candidates = decoder.heads.flatMap((head) => {
        const grid = gridOf(head, outputOf(outputs, head.output));
        const sized = resizeAnchors(head, { from: options.manifest.input, to: options.input });
        return decodeHead(sized, { values: readOutput(outputs, head.output).values, ...grid }, threshold);
      });
      return toFindings(candidates, { nmsIou: decoder.nmsIou, image, input: options.input, labels });
    }
    default: {
      const { threshold = decoder.threshold, input } = options;
      const read = (name: string) => readOutput(outputs, name);
      const candidates = decodeBoxes(decoder, { read, threshold, width: input.width, height: input.height });
      const { nmsIou, masks } = { nmsIou: undefined, masks: undefined, ...decoder };
      const prototypes = masks === undefined ? {} : { prototypes: read(masks) };
      return toFindings(candidates.filter(isDrawable), { nmsIou, image, input, labels, ...prototypes });
    }
  }
}

/** Most objects of an image that get an outline. One that fills 640 x 640 pixels takes 8 ms of a desktop's core. */
const MAX_OUTLINES = 100;

interface Selection extends Placement {
  /** Without an overlap all boxes are kept, most confident first. */
  readonly nmsIou: number | undefined;
  readonly prototypes?: OutputValues;
}

function toFindings(candidates: readonly Candidate[], selection: Selection): Findings {
  const { nmsIou = 1, prototypes, ...placement } = selection;
  const kept = suppressOverlaps(candidates, nmsIou).map((candidate, at) => {
    return prototypes === undefined || at >= MAX_OUTLINES ? candidate : withOutline(candidate, prototypes);
  });
  return { detections: kept.map((candidate) => toDetection(candidate, placement)) };
}

/** What a class map shows of the image. */
function classesIn(
  spec: ClassMapSpec,
  output: OutputValues,
  { labels, ...fitted }: Placement,
): Pick<Findings, 'shares' | 'classMap'> {
  const map = readClassCells(spec, output);
  const { cells, area } = shownCells({ width: map.cols, height: map.rows }, fitted);
  const shown = cropCells(map, cells);
  return {
    shares: sharesOf(shown, (classId) => labelOf(labels, classId)),
    classMap: describeMap(shown, area),
  };
}

/** Cells of a head's output. @throws {RangeError} if the manifest's head doesn't fit the network. */
function gridOf(
  { output, anchors, classes }: DetectionHead,
  { shape }: OutputTensor,
): { readonly rows: number; readonly cols: number } {
  const [, channels, rows, cols] = shape;
  const expected = anchors.length * (5 + classes);
  if (channels === expected && rows !== undefined && cols !== undefined) return { rows, cols };
  throw new RangeError(
    `Cannot decode output "${output}": its shape is [${shape.join(', ')}], expected [1, ${expected}, H, W] for ${anchors.length} anchors ` +
      `and ${classes} classes (model.yaml, decoder.heads)`,
  );
}

/** The head for another input size. Anchors are relative to the input, but keep their size in pixels. */
function resizeAnchors(
  head: DetectionHead,
  { from, to }: { readonly from: DecodedModel['input']; readonly to: DecodedModel['input'] },
): DetectionHead {
  const anchors = head.anchors.map(({ width, height }) => ({
    width: (width * from.width) / to.width,
    height: (height * from.height) / to.height,
  }));
  return { ...head, anchors };
}

interface Placement extends Fitted {
  readonly labels: readonly string[];
}

/** The detection of a candidate: its box is moved from the network's input back to the image. */
function toDetection(
  { box, classId, confidence, corners, outline, points }: Candidate,
  { image, input, labels }: Placement,
): Detection {
  const shown = shownSize(image, input);
  const { left, top } = marginOf(shown, input);
  const part = seenPart(image, input);
  const placed = ({ x, y }: Corner): Corner => ({
    x: part.left + ((x * input.width - left) * part.width) / shown.width,
    y: part.top + ((y * input.height - top) * part.height) / shown.height,
  });
  const from = placed({ x: box.centerX - box.width / 2, y: box.centerY - box.height / 2 });
  const to = placed({ x: box.centerX + box.width / 2, y: box.centerY + box.height / 2 });
  return {
    label: labelOf(labels, classId),
    classId,
    confidence,
    box: { ...from, width: to.x - from.x, height: to.y - from.y },
    ...(corners === undefined ? {} : { corners: corners.map(placed) }),
    ...(outline === undefined ? {} : { outline: outline.map(placed) }),
    ...(points === undefined
      ? {}
      : { keypoints: points.map((point) => ({ ...placed(point), confidence: point.confidence })) }),
  };
}

function labelOf(labels: readonly string[], classId: number): string {
  return labels[classId] ?? `class ${classId}`;
}
