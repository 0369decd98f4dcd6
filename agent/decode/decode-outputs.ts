/** Decodes the outputs of a network to findings, as the model's manifest says. */
import type { DetectionHead } from '../../shared/darknet/index.js';
import { float32Values } from '../../shared/graph/index.js';
import type { OutputTensor, RunResult } from '../engine/wire/protocol.js';
import { marginOf, shownSize } from '../engine/wire/shown-size.js';
import type { InputSpec, Manifest } from '../models/manifest.js';
import { decodeHead, softmax } from './darknet-head.js';
import type { Candidate, Detection } from './detection.js';
import { suppressOverlaps } from './suppress-overlaps.js';

export interface ClassScore {
  readonly label: string;
  readonly classId: number;
  /** Probability, 0 to 1. */
  readonly confidence: number;
}

/** The findings in one image, by the kind of its model's decoder. */
export interface Findings {
  /** Detections, most confident first; empty unless the decoder is `darknet`. */
  readonly detections: readonly Detection[];
  /** Most probable classes, if the decoder is `classes`. */
  readonly classes?: readonly ClassScore[];
  /** Names and shapes of the outputs, if the decoder is `raw`. */
  readonly outputs?: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

export interface DecodeOptions {
  readonly manifest: Manifest;
  /** Input of this run, whose size may differ from the manifest's. */
  readonly input: InputSpec;
  /** Least confidence of a detection. By default the manifest's. */
  readonly threshold?: number;
}

/** Whether the decoder reads the values of outputs; else it reads only their shapes. */
export function needsValues({ decoder }: Manifest): boolean {
  return decoder.kind !== 'raw';
}

export function decodeOutputs({ image, outputs }: RunResult, options: DecodeOptions): Findings {
  const { decoder, labels } = options.manifest;
  switch (decoder.kind) {
    case 'raw':
      return { detections: [], outputs: outputs.map(({ name, shape }) => ({ name, shape })) };
    case 'classes': {
      const scores = [...valuesOf(outputs, decoder.output)];
      const probabilities = decoder.softmax ? softmax(scores) : scores;
      const ranked = probabilities
        .map((confidence, classId) => ({ label: labelOf(labels, classId), classId, confidence }))
        .sort((a, b) => b.confidence - a.confidence);
      return { detections: [], classes: ranked.slice(0, decoder.topK) };
    }
    case 'darknet': {
      const threshold = options.threshold ?? decoder.threshold;
      const candidates = decoder.heads.flatMap((head) => {
        const grid = gridOf(head, outputOf(outputs, head.output));
        const sized = resizeAnchors(head, { from: options.manifest.input, to: options.input });
        return decodeHead(sized, { values: valuesOf(outputs, head.output), ...grid }, threshold);
      });
      const kept = suppressOverlaps(candidates, decoder.nmsIou);
      return {
        detections: kept.map((candidate) => toDetection(candidate, { image, input: options.input, labels })),
      };
    }
  }
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
function resizeAnchors(head: DetectionHead, { from, to }: { from: InputSpec; to: InputSpec }): DetectionHead {
  const anchors = head.anchors.map(({ width, height }) => ({
    width: (width * from.width) / to.width,
    height: (height * from.height) / to.height,
  }));
  return { ...head, anchors };
}

interface Placement {
  readonly image: RunResult['image'];
  readonly input: InputSpec;
  readonly labels: readonly string[];
}

/** The detection of a candidate: its box is moved from the network's input back to the image. */
function toDetection(
  { box, classId, confidence }: Candidate,
  { image, input, labels }: Placement,
): Detection {
  const shown = shownSize(image, input);
  const { left, top } = marginOf(shown, input);
  const scaleX = shown.width / image.width;
  const scaleY = shown.height / image.height;
  return {
    label: labelOf(labels, classId),
    classId,
    confidence,
    box: {
      x: ((box.centerX - box.width / 2) * input.width - left) / scaleX,
      y: ((box.centerY - box.height / 2) * input.height - top) / scaleY,
      width: (box.width * input.width) / scaleX,
      height: (box.height * input.height) / scaleY,
    },
  };
}

function labelOf(labels: readonly string[], classId: number): string {
  return labels[classId] ?? `class ${classId}`;
}

/** @throws {RangeError} if the network doesn't have the output that the manifest names. */
function outputOf(outputs: readonly OutputTensor[], name: string): OutputTensor {
  const output = outputs.find((candidate) => candidate.name === name);
  if (output === undefined) {
    const known = outputs.map((candidate) => candidate.name).join(', ');
    throw new RangeError(`Cannot decode output "${name}": the network has ${known}`);
  }
  return output;
}

function valuesOf(outputs: readonly OutputTensor[], name: string): Float32Array {
  const { bytes, dtype } = outputOf(outputs, name);
  if (bytes === undefined || dtype !== 'float32') {
    throw new RangeError(`Cannot decode output "${name}": it is ${dtype}, expected float32 values`);
  }
  return float32Values(bytes);
}
