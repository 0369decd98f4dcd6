/** Outputs of a network -> what a client asked for, as the model's manifest says. */
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
  /** 0 to 1. */
  readonly confidence: number;
}

export interface Findings {
  readonly detections: readonly Detection[];
  readonly classes?: readonly ClassScore[];
  readonly outputs?: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

export interface DecodeOptions {
  readonly manifest: Manifest;
  /** Input size of this run, where it isn't the manifest's. */
  readonly input: InputSpec;
  /** Replaces the manifest's. */
  readonly threshold?: number;
}

/** Whether the decoder reads values of outputs, or only their shapes. */
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
        const [, channels = 0, rows = 1, cols = 1] = outputOf(outputs, head.output).shape;
        checkChannels(head, channels);
        const sized = resizeAnchors(head, { from: options.manifest.input, to: options.input });
        return decodeHead(sized, { values: valuesOf(outputs, head.output), rows, cols }, threshold);
      });
      const kept = suppressOverlaps(candidates, decoder.nmsIou);
      return {
        detections: kept.map((candidate) => toDetection(candidate, { image, input: options.input, labels })),
      };
    }
  }
}

/** @throws {RangeError} if the manifest's head doesn't fit the network. */
function checkChannels({ output, anchors, classes }: DetectionHead, channels: number): void {
  const expected = anchors.length * (5 + classes);
  if (channels === expected) return;
  throw new RangeError(
    `Cannot decode output "${output}": it has ${channels} channels, expected ${expected} for ${anchors.length} anchors ` +
      `and ${classes} classes (model.yaml, decoder.heads)`,
  );
}

/** Anchors have a size in pixels; relative to another input they are larger or smaller. */
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

/** From the network's input back to the image: the reverse of stretching or letterboxing. */
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

/** @throws {RangeError} naming the output the manifest asks for. */
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
