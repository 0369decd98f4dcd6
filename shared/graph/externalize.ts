import type { Constant, Graph } from './graph.js';

/** Constants smaller than this stay in the model file: a mapping of its own costs ONNX Runtime a page each. */
const MIN_EXTERNAL_BYTES = 4096;

/** Offsets are multiples of this, so that kernels see aligned weights in the mapped file. */
const ALIGNMENT = 64;

export interface ExternalData {
  readonly graph: Graph;
  /** What to write, and where, in the data file; in order of offset, without overlap. */
  readonly chunks: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

/** Moves large inline constants to places in the file `location`, in the order of the tensors. */
export function externalizeConstants(graph: Graph, location: string): ExternalData {
  const chunks: { offset: number; bytes: Uint8Array }[] = [];
  let end = 0;
  const tensors = graph.tensors.map((tensor) => {
    if (tensor.constant?.kind !== 'inline' || tensor.constant.bytes.byteLength < MIN_EXTERNAL_BYTES)
      return tensor;
    const { bytes } = tensor.constant;
    const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    chunks.push({ offset, bytes });
    end = offset + bytes.byteLength;
    const constant: Constant = { kind: 'external', location, offset, length: bytes.byteLength };
    return { ...tensor, constant };
  });
  return { graph: { ...graph, tensors }, chunks };
}
