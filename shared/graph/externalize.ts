/** Moves the large constants of a graph out of the model file into a data file. */
import type { Constant, Graph } from './graph.js';

/** Smaller constants stay in the model file, since ONNX Runtime maps each external one and that costs a page. */
const MIN_EXTERNAL_BYTES = 4096;

/** Every offset is a multiple of this number of bytes, so that kernels see aligned weights in the mapped file. */
const ALIGNMENT = 64;

export interface ExternalData {
  readonly graph: Graph;
  /** Contents of the data file, in order of offset and without overlap. */
  readonly chunks: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

/** Gives large inline constants places in the file `location`, in the order of the tensors. */
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
