/**
 * Counts the work of a session, from which a device's profile makes its latency.
 *
 * Not modelled: kernels that are chosen by size, and caches; so a device is measured at sizes like those of
 * real plans. An activation that ONNX Runtime computes with the convolution before it costs nothing.
 */

import type { Graph, Node } from '../graph/index.js';
import { BYTES_PER_ELEMENT, elementCount, intAttribute, tensorAt } from '../graph/index.js';
import type { ShapeOf } from '../tile/index.js';
import type { Work } from './device-profile.js';
import { emptyWork } from './device-profile.js';
import type { RunPeak } from './lifetimes.js';
import { countMacs } from './macs.js';
import type { Operation, SessionRun } from './session-run.js';

/** Work of all steps of a session. @param peaks of its kinds of steps. */
export function countWork(graph: Graph, session: SessionRun, peaks: readonly RunPeak[]): Work {
  const sum = emptyWork();
  for (const [kind, { shapeOf, count }] of session.steps.entries()) {
    const peak = peaks[kind];
    const faults = peak === undefined ? NO_FAULTS : countFaults(peak);
    sum.faultedBytes += count * faults.faultedBytes;
    sum.hugeBytes += count * faults.hugeBytes;
    const bytesOf = (values: readonly number[]) =>
      values.reduce((bytes, value) => bytes + session.bytesOf(value, shapeOf), 0);
    const add: AddWork = (kind, amount) => {
      sum[kind] += amount * count;
    };
    add('steps', 1);
    add('copiedBytes', bytesOf(session.inputs) + bytesOf(session.outputs));
    for (const [at, operation] of session.operations.entries()) {
      if (!isFused(operation, session.operations[at - 1]))
        countOperation(graph, operation, { shapeOf, bytesOf, add });
    }
  }
  return sum;
}

/** Up to here a block has no huge page of 2 MB to itself, or only one. */
const SMALL_BYTES = 3 * 2 ** 20;

const NO_FAULTS = { faultedBytes: 0, hugeBytes: 0 };

/** What a run takes in one piece, and the copies of its outputs. */
export function countFaults({ peakBytes, outputBytes }: RunPeak): Pick<Work, 'faultedBytes' | 'hugeBytes'> {
  const hugeBytes = Math.max(0, peakBytes - SMALL_BYTES);
  return { faultedBytes: peakBytes - hugeBytes + outputBytes, hugeBytes };
}

/** Work of one kernel call at the shapes of one step. */
export function countOperationWork(
  graph: Graph,
  {
    operation,
    before,
    shapeOf,
  }: { readonly operation: Operation; readonly before: Operation | undefined; readonly shapeOf: ShapeOf },
): Work {
  const sum = emptyWork();
  const add: AddWork = (kind, amount) => {
    sum[kind] += amount;
  };
  const bytesOf = (values: readonly number[]) =>
    values.reduce(
      (bytes, value) =>
        bytes + elementCount(shapeOf(value)) * BYTES_PER_ELEMENT[tensorAt(graph, value).dtype],
      0,
    );
  if (!isFused(operation, before)) countOperation(graph, operation, { shapeOf, bytesOf, add });
  return sum;
}

type AddWork = (kind: keyof Work, amount: number) => void;

interface Counting {
  readonly shapeOf: ShapeOf;
  readonly bytesOf: (values: readonly number[]) => number;
  readonly add: AddWork;
}

function countOperation(
  graph: Graph,
  { node, reads, writes }: Operation,
  { shapeOf, bytesOf, add }: Counting,
): void {
  add('calls', 1);
  const macs = node === undefined ? 0 : countMacs(graph, node, shapeOf);
  if (node === undefined || macs === 0) {
    add('movedBytes', bytesOf(reads) + bytesOf(writes));
    return;
  }
  const [filters = 0, ...perFilter] = tensorAt(graph, node.inputs[1] ?? -1).shape ?? [];
  const pixels = elementCount(shapeOf(node.outputs[0] ?? -1).slice(2));
  const isPointwise = perFilter.slice(1).every((size) => size === 1);
  const isGrouped = node.op === 'Conv' && intAttribute(node, 'group', 1) > 1;
  add('weightBytes', 4 * filters * elementCount(perFilter));
  add(isGrouped ? 'groupedMacs' : isPointwise && node.op === 'Conv' ? 'pointwiseMacs' : 'denseMacs', macs);
  if (node.op === 'Conv' && !isGrouped && !isPointwise)
    add('columnBytes', 4 * pixels * elementCount(perFilter));
}

const FUSED_ACTIVATIONS = new Set(['Relu', 'LeakyRelu', 'Clip', 'Sigmoid', 'Tanh', 'HardSigmoid']);

/** Whether ONNX Runtime computes an activation with the convolution right before it. */
function isFused({ node, reads }: Operation, before: Operation | undefined): boolean {
  if (node === undefined || before?.node?.op !== 'Conv' || !isActivation(node)) return false;
  return reads[0] === before.writes[0];
}

/** Whether ONNX Runtime computes it with a convolution right before it. */
export function isActivation({ op, domain }: Node): boolean {
  return domain === '' && FUSED_ACTIVATIONS.has(op);
}
