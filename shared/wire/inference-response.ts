/**
 * Answers in the JSON of the Open Inference Protocol.
 * Source: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md.
 */
import type { DataType } from '../graph/index.js';

export interface ResponseTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly data: readonly (number | string)[];
}

export interface InferenceResponse {
  readonly model_name: string;
  readonly id?: string;
  /** Which plan ran, and milliseconds of the executor: to read and decode the input, and to run the network. */
  readonly parameters: { readonly plan: string; readonly read_ms: number; readonly run_ms: number };
  readonly outputs: readonly ResponseTensor[];
}

export interface ErrorResponse {
  readonly id?: string;
  readonly error: string;
  /**
   * HTTP status of the error, for transports that have no status themselves, and seconds after which the request may
   * succeed, as in HTTP's Retry-After.
   */
  readonly parameters: { readonly status: number; readonly retry_after?: number };
}

const DATATYPES: Readonly<Record<DataType, string>> = {
  float32: 'FP32',
  float64: 'FP64',
  float16: 'FP16',
  int8: 'INT8',
  uint8: 'UINT8',
  int16: 'INT16',
  uint16: 'UINT16',
  int32: 'INT32',
  uint32: 'UINT32',
  int64: 'INT64',
  uint64: 'UINT64',
  bool: 'BOOL',
  string: 'BYTES',
};

/** Name of an element type in the protocol. */
export function datatypeOf(dtype: DataType): string {
  return DATATYPES[dtype];
}

interface FoundBox {
  readonly label: string;
  readonly classId: number;
  readonly confidence: number;
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
}

/**
 * Tensors of n detections: boxes [n, 4], scores [n], classes [n] and labels [n]. A box is x, y, width, height in
 * pixels.
 */
export function detectionTensors(detections: readonly FoundBox[]): readonly ResponseTensor[] {
  const boxes = detections.flatMap(({ box }) => [box.x, box.y, box.width, box.height]);
  return [
    { name: 'boxes', shape: [detections.length, 4], datatype: 'FP32', data: boxes },
    ...classTensors(detections),
  ];
}

/** Tensors of n classes, most probable first: scores [n], classes [n] and labels [n]. */
export function classTensors(classes: readonly Omit<FoundBox, 'box'>[]): readonly ResponseTensor[] {
  const shape = [classes.length];
  return [
    { name: 'scores', shape, datatype: 'FP32', data: classes.map(({ confidence }) => confidence) },
    ...namedClasses(classes),
  ];
}

/** Where a map or a picture lies: its own size, and what it covers of the image. */
interface Place {
  readonly width: number;
  readonly height: number;
  readonly area: FoundBox['box'];
}

interface MapOfClasses {
  readonly shares: readonly { readonly label: string; readonly classId: number; readonly share: number }[];
  readonly classMap: Place & { readonly runs: readonly number[] };
}

/**
 * Tensors of a class map that shows n classes, the largest first: shares [n], classes [n] and labels [n], those of its place,
 * and runs [m, 2] of a class and a number of cells.
 */
export function classMapTensors({ shares, classMap }: MapOfClasses): readonly ResponseTensor[] {
  const { runs } = classMap;
  const shape = [shares.length];
  return [
    { name: 'shares', shape, datatype: 'FP32', data: shares.map(({ share }) => share) },
    ...namedClasses(shares),
    ...placeTensors(classMap),
    { name: 'runs', shape: [runs.length / 2, 2], datatype: 'INT64', data: runs },
  ];
}

/** map_size [2] as rows and columns, and map_area [4] as x, y, width, height in pixels of the image. */
export function placeTensors({ width, height, area }: Place): readonly ResponseTensor[] {
  return [
    { name: 'map_size', shape: [2], datatype: 'INT64', data: [height, width] },
    { name: 'map_area', shape: [4], datatype: 'FP32', data: [area.x, area.y, area.width, area.height] },
  ];
}

/** Tensor of an encoded picture, in base64 as requests have theirs. */
export function pictureTensor(base64: string): ResponseTensor {
  return { name: 'png', shape: [1], datatype: 'BYTES', data: [base64] };
}

function namedClasses(classes: readonly Pick<FoundBox, 'label' | 'classId'>[]): readonly ResponseTensor[] {
  const shape = [classes.length];
  return [
    { name: 'classes', shape, datatype: 'INT64', data: classes.map(({ classId }) => classId) },
    { name: 'labels', shape, datatype: 'BYTES', data: classes.map(({ label }) => label) },
  ];
}
