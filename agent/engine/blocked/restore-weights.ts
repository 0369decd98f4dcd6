/** Puts the weights that were left out back into a model that ONNX Runtime saved (stand-ins.ts). */
import type { FileHandle } from 'node:fs/promises';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Graph, Node, Tensor } from '../../../shared/graph/index.js';
import { elementAt, intAttribute, producers, tensorAt, tensorBytes } from '../../../shared/graph/index.js';
import { OPTIMIZED_DATA } from '../wire/protocol.js';
import { BLOCKED_DOMAIN } from './blocked-joins.js';
import { blockLength, filterSizes, reorderBlock } from './blocked-order.js';
import type { ExternalConstant, LeftOut, StandInModel } from './stand-ins.js';
import { digestOf, withGroups } from './stand-ins.js';

/** Where values of a model's weights come from, by the tensor's name. The values of others are as they were saved. */
export type Sources = ReadonlyMap<string, LeftOut & { readonly isBlocked: boolean }>;

/** Start of weights in a file, a multiple of this: one page. */
const ALIGNMENT = 4096;

/** Most bytes that are copied at once. */
const CHUNK_BYTES = 2 ** 20;

/** Gives all weights their own shapes again. @returns undefined if ONNX Runtime changed one of them. */
export async function restoreShapes(
  saved: Graph,
  { filters, sizes, operands }: StandInModel,
  folder: string,
): Promise<{ readonly graph: Graph; readonly sources: Sources } | undefined> {
  const sources = new Map<string, LeftOut & { readonly isBlocked: boolean }>();
  const tensors = [...saved.tensors];
  const nodes = [...saved.nodes];
  const made = producers(saved);
  for (const [at, node] of saved.nodes.entries()) {
    if (node.op !== 'Conv' || node.domain !== BLOCKED_DOMAIN) continue;
    const index = elementAt(node.inputs, 1);
    const tensor = tensorAt(saved, index);
    // Weights that weren't left out may be large, so they aren't read for nothing.
    if (!sizes.has(tensorBytes(tensor))) continue;
    const filter = filters.get(digestOf(await valuesOf(tensor, folder)));
    if (filter === undefined) continue;
    sources.set(tensor.name, { ...filter, isBlocked: true });
    const shape = [elementAt(tensor.shape ?? [], 0), ...filter.shape.slice(1)];
    tensors[index] = { ...tensor, shape, constant: filter.constant };
    const isGrouped = intAttribute(node, 'group', 1) > 1;
    if (isGrouped) nodes[at] = withGroups(node, 1);
    else if (!withoutSlice(nodes, { at, made })) return undefined;
  }
  for (const index of saved.inputs) {
    const tensor = tensorAt(saved, index);
    const operand = operands.get(tensor.name);
    if (operand === undefined) continue;
    sources.set(tensor.name, { ...operand, isBlocked: false });
    tensors[index] = { ...tensor, shape: operand.shape, constant: operand.constant };
  }
  if (sources.size < filters.size + operands.size) return undefined;
  const inputs = saved.inputs.filter((index) => !operands.has(tensorAt(saved, index).name));
  return { graph: { ...saved, tensors, nodes, inputs }, sources };
}

/**
 * Lets a convolution read its map without the Slice before it.
 *
 * A map in blocked order was put in plain order for the Slice. A map in plain order is put in blocked order after it.
 *
 * @returns false if there is no such Slice.
 */
function withoutSlice(
  nodes: Node[],
  { at, made }: { readonly at: number; readonly made: Int32Array },
): boolean {
  const makerOf = (node: Node) => elementAt(made, elementAt(node.inputs, 0));
  const conv = elementAt(nodes, at);
  const toBlocks = makerOf(conv);
  const reorder = nodes[toBlocks];
  const slice = reorder === undefined ? undefined : nodes[makerOf(reorder)];
  if (reorder?.op !== 'ReorderInput' || slice?.op !== 'Slice') return false;
  const before = nodes[makerOf(slice)];
  if (before?.op === 'ReorderOutput')
    nodes[at] = { ...conv, inputs: [elementAt(before.inputs, 0), ...conv.inputs.slice(1)] };
  else nodes[toBlocks] = { ...reorder, inputs: [elementAt(slice.inputs, 0)] };
  return true;
}

/** Returns the values of a constant of a saved model. A tensor without any has no bytes. */
async function valuesOf({ constant }: Tensor, folder: string): Promise<Uint8Array> {
  if (constant === null) return new Uint8Array();
  if (constant.kind === 'inline') return constant.bytes;
  const file = await open(join(folder, constant.location));
  try {
    const bytes = new Uint8Array(constant.length);
    await readFully(file, bytes, constant.offset);
    return bytes;
  } finally {
    await file.close();
  }
}

export interface WeightsPlace {
  readonly sources: Sources;
  /** Folder of the stored model's weights. */
  readonly folder: string;
  /** Folder of the saved model. */
  readonly into: string;
  /** Channels in a block. */
  readonly block: number;
  readonly signal?: AbortSignal | undefined;
}

/** Replaces the file of a saved model's weights. @returns the graph that reads them there. */
export async function writeWeights(graph: Graph, place: WeightsPlace): Promise<Graph> {
  const path = join(place.into, OPTIMIZED_DATA);
  const written = await writeTo(`${path}.new`, graph, place);
  await rename(`${path}.new`, path);
  return written;
}

async function writeTo(path: string, graph: Graph, place: WeightsPlace): Promise<Graph> {
  const { sources, folder, into, signal } = place;
  const target = await open(path, 'wx', 0o644);
  try {
    let offset = 0;
    const tensors: Tensor[] = [];
    for (const tensor of graph.tensors) {
      const { constant } = tensor;
      if (constant?.kind !== 'external') {
        tensors.push(tensor);
        continue;
      }
      signal?.throwIfAborted();
      const source = sources.get(tensor.name);
      const from = await open(join(source === undefined ? into : folder, constant.location));
      try {
        const copying = { from, constant, target, offset, signal };
        await (source?.isBlocked === true ? copyInBlocks(source, place.block, copying) : copy(copying));
      } finally {
        await from.close();
      }
      const length = tensorBytes(tensor);
      tensors.push({ ...tensor, constant: { kind: 'external', location: OPTIMIZED_DATA, offset, length } });
      offset = Math.ceil((offset + length) / ALIGNMENT) * ALIGNMENT;
    }
    return { ...graph, tensors };
  } finally {
    await target.close();
  }
}

interface Copying {
  readonly from: FileHandle;
  readonly constant: ExternalConstant;
  readonly target: FileHandle;
  readonly offset: number;
  readonly signal?: AbortSignal | undefined;
}

async function copy({ from, constant, target, offset }: Copying): Promise<void> {
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, constant.length));
  for (let done = 0; done < constant.length; done += chunk.length) {
    const part = chunk.subarray(0, constant.length - done);
    await readFully(from, part, constant.offset + done);
    await target.write(part, 0, part.length, offset + done);
  }
}

/** Copies weights one block of output channels after the other, so that memory for one suffices. */
async function copyInBlocks(
  { shape }: LeftOut,
  block: number,
  { from, constant, target, offset, signal }: Copying,
): Promise<void> {
  const sizes = filterSizes(shape, block);
  const [plain, blocked] = [new Float32Array(blockLength(sizes)), new Float32Array(blockLength(sizes))];
  const [plainBytes, blockedBytes] = [new Uint8Array(plain.buffer), new Uint8Array(blocked.buffer)];
  for (let done = 0; done < constant.length; done += plainBytes.length) {
    signal?.throwIfAborted();
    const part = plainBytes.subarray(0, constant.length - done);
    await readFully(from, part, constant.offset + done);
    reorderBlock(plain.subarray(0, part.length / 4), sizes, blocked);
    await target.write(blockedBytes, 0, blockedBytes.length, offset + done);
  }
}

/** Fills bytes from a file. @throws {RangeError} if it ends before. */
async function readFully(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, offset + done);
    if (bytesRead === 0)
      throw new RangeError(`Cannot read weights: the file ends before ${offset + bytes.length} bytes`);
    done += bytesRead;
  }
}
