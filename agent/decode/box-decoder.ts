/** What each decoder of boxes is made of. A new one is a file with one of these, and a row in `box-decoders.ts`. */
import type { DataType } from '../../shared/graph/index.js';
import type { Rule } from '../../shared/rules/index.js';
import { list, map, number, numberWithin } from '../../shared/rules/index.js';
import type { ImageInput } from '../engine/wire/protocol.js';
import type { Candidate } from './detection.js';

export interface OutputShape {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DataType;
}

/** What kind of operator computes the values of an output, or of a part of it. */
export type OutputEnd = 'convolution' | 'sigmoid' | 'softmax' | 'argmax' | 'other';

/** What is known of a network when its decoder is chosen. */
export interface NetworkFacts {
  readonly outputs: readonly OutputShape[];
  /** Size of the input. */
  readonly width: number;
  readonly height: number;
  /** Its channels. */
  readonly channels: number;
  /** Number of labels, if there are any. */
  readonly labels?: number;
  /** ultralytics' name of the task. */
  readonly task?: string;
  /** Whether an output, or a part of it that is concatenated, is the result of Softmax or Sigmoid. */
  readonly isActivated: (output: string) => boolean;
  /** Whether an output holds what convolutions give, at most in another order. */
  readonly isDirect: (output: string) => boolean;
  /** What computes an output's values: one kind, or one for each of the parts that are concatenated, in their order. */
  readonly endsOf: (output: string) => readonly OutputEnd[];
  /** The operators that an output comes from, the last one first: some of them, as far as each reads one map. */
  readonly trailOf: (output: string) => readonly string[];
  /** Whether the file has the metadata that YOLOv5's exporter writes. */
  readonly isYolov5?: boolean;
  /** Whether the file comes from PaddlePaddle. */
  readonly isPaddle?: boolean;
  /** Whether the user named the decoder, so that a shape that fits is enough. */
  readonly isTold: boolean;
}

/** How a family's own code gives pixels to its networks. */
export interface PixelRule
  extends Partial<Pick<ImageInput, 'resize' | 'margin' | 'colorOrder' | 'scale' | 'mean' | 'std'>> {
  /** Whose rule it is, for people. */
  readonly by: string;
}

export interface OutputValues {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface DecodeContext {
  /** @throws {RangeError} naming the output, if the network doesn't have it or it isn't numbers. */
  readonly read: (output: string) => OutputValues;
  /** Size of the network's input in this run. */
  readonly width: number;
  readonly height: number;
  /** Least confidence. */
  readonly threshold: number;
}

/** Keys that all of them have. */
export interface BoxSpec {
  readonly kind: string;
  readonly threshold: number;
  /** Overlap above which boxes of one class are one object; absent where the network suppresses them itself. */
  readonly nmsIou?: number | undefined;
}

export interface BoxDecoder<S extends BoxSpec> {
  readonly kind: S['kind'];
  /** The outputs that it reads, for people. */
  readonly reads: string;
  readonly schema: Rule<S>;
  /** Its keys in model.yaml, or undefined if it isn't sure that these are its outputs. */
  readonly recognise: (facts: NetworkFacts) => S | undefined;
  /** How networks with such outputs want their pixels, where that is known. */
  readonly pixels?: (facts: NetworkFacts) => PixelRule | undefined;
  readonly decode: (spec: S, context: DecodeContext) => readonly Candidate[];
}

export const ratio = numberWithin(0, 1);

/** Source: ultralytics, data/augment.py, LetterBox. */
export const ULTRALYTICS_MARGIN = { grey: 114, place: 'centre' } as const;

/** Source: Ultra-Light-Fast-Generic-Face-Detector-1MB, detect_imgs_onnx.py. */
export const ULTRAFACE_PIXELS: PixelRule = {
  by: 'UltraFace',
  ...{ scale: 1, mean: [127, 127, 127], std: [128, 128, 128] },
};

/** Source: YOLOv5, YOLOv7 and ultralytics, letterbox(). */
export const YOLO_PIXELS: PixelRule = {
  by: 'YOLO',
  ...{ resize: 'letterbox', margin: ULTRALYTICS_MARGIN, scale: 1 / 255 },
};

/** What torchvision's networks are trained with. */
export const IMAGENET_PIXELS = {
  scale: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
} as const;

const positive = number('a number above 0', (value) => value > 0);

/** A list of sizes, such as those of anchors. */
export function sizeList(thing: string): Rule<readonly Size[]> {
  return list(map({ width: positive, height: positive }), {
    least: 1,
    expected: `a list of at least one ${thing}`,
  });
}

/** ultralytics' least confidence. */
export const THRESHOLD = 0.25;

/** Darknet's and YOLOv5's overlap. */
export const NMS_IOU = 0.45;

/** Classes of COCO, which networks without labels are trained with. */
export const COCO_CLASSES = 80;

/** Overlap by which ultralytics' newer networks are suppressed. */
export const ULTRALYTICS_IOU = 0.7;

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Cells of a map of one stride. */
export function gridOf(
  { width, height }: Size,
  stride: number,
): { readonly rows: number; readonly cols: number } {
  return { rows: Math.ceil(height / stride), cols: Math.ceil(width / stride) };
}

/** Cells of a network whose maps have these strides. */
export function cellCount(size: Size, strides: readonly number[]): number {
  return strides.reduce((sum, stride) => {
    const { rows, cols } = gridOf(size, stride);
    return sum + rows * cols;
  }, 0);
}

export const STRIDES = [8, 16, 32] as const;

/** The fault that an output hasn't the shape that model.yaml says. */
export function misfit(output: string, shape: readonly number[], expected: string): RangeError {
  return new RangeError(
    `Cannot decode output "${output}": its shape is [${shape.join(', ')}], expected ${expected} (model.yaml, decoder)`,
  );
}

/** A box by its corners in units of `width` and `height`. */
export function boxOfCorners(
  [left, top, right, bottom]: readonly [number, number, number, number],
  { width, height }: Size,
): Candidate['box'] {
  return {
    centerX: (left + right) / 2 / width,
    centerY: (top + bottom) / 2 / height,
    width: (right - left) / width,
    height: (bottom - top) / height,
  };
}

/** A box in pixels of the input, relative to it. */
export function boxOfPixels(box: Candidate['box'], { width, height }: Size): Candidate['box'] {
  return {
    centerX: box.centerX / width,
    centerY: box.centerY / height,
    width: box.width / width,
    height: box.height / height,
  };
}

/** Whether a box can be drawn. Broken and hostile networks give others. */
export function isDrawable({ box: { centerX, centerY, width, height }, confidence }: Candidate): boolean {
  return Number.isFinite(centerX + centerY + width + height + confidence) && width >= 0 && height >= 0;
}
