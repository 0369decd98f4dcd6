/**
 * This file counts the work of a session, from which a device's profile makes its latency.
 *
 * Each kernel call counts the values that it reads and writes, or its multiplications and weights. An activation
 * that ONNX Runtime computes with the convolution before it costs nothing.
 *
 * Not modelled: kernels that are chosen by size, and caches. So a device is measured at sizes like those of real plans.
 */

import type { Graph, Node } from '../graph/index.js';
import {
  BYTES_PER_ELEMENT,
  elementAt,
  elementCount,
  intAttribute,
  knownShape,
  tensorAt,
} from '../graph/index.js';
import type { ShapeOf } from '../tile/index.js';
import type { WorkAmounts } from './device-profile.js';
import { emptyWork } from './device-profile.js';
import type { RunPeak } from './lifetimes.js';
import { countMacs } from './macs.js';
import type { Operation, SessionRun } from './session-run.js';

/** Counts the work of all steps of a session. @param peaks of its kinds of steps, in their order. */
export function countWork(graph: Graph, session: SessionRun, peaks: readonly RunPeak[]): WorkAmounts {
  const sum = emptyWork();
  for (const [kind, { shapeOf, count }] of session.steps.entries()) {
    const faults = countFaults(elementAt(peaks, kind));
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

/** Size of a block up to which it has at most one huge page of 2 MB to itself. */
const SMALL_BYTES = 3 * 2 ** 20;

/** Counts the bytes that a run gets from the system: its peak in one piece, and the copies of its outputs. */
export function countFaults({
  peakBytes,
  outputBytes,
}: RunPeak): Pick<WorkAmounts, 'faultedBytes' | 'hugeBytes'> {
  const hugeBytes = Math.max(0, peakBytes - SMALL_BYTES);
  return { faultedBytes: peakBytes - hugeBytes + outputBytes, hugeBytes };
}

/** Counts the work of one kernel call at the shapes of one step. @param before is the call right before it. */
export function countOperationWork(
  graph: Graph,
  {
    operation,
    before,
    shapeOf,
  }: { readonly operation: Operation; readonly before: Operation | undefined; readonly shapeOf: ShapeOf },
): WorkAmounts {
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

type AddWork = (kind: keyof WorkAmounts, amount: number) => void;

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
  const weights = knownShape(tensorAt(graph, elementAt(node.inputs, 1)));
  const [filters, perFilter] = [elementAt(weights, 0), weights.slice(1)];
  const pixels = elementCount(shapeOf(elementAt(node.outputs, 0)).slice(2));
  const isPointwise = perFilter.slice(1).every((size) => size === 1);
  const isGrouped = node.op === 'Conv' && intAttribute(node, 'group', 1) > 1;
  add('weightBytes', 4 * filters * elementCount(perFilter));
  add(isGrouped ? 'groupedMacs' : isPointwise && node.op === 'Conv' ? 'pointwiseMacs' : 'denseMacs', macs);
  if (node.op === 'Conv' && !isGrouped && !isPointwise)
    add('columnBytes', 4 * pixels * elementCount(perFilter));
}

/** Operators that ONNX Runtime computes with a convolution right before them. */
const FUSED_ACTIVATIONS = new Set(['Relu', 'LeakyRelu', 'Clip', 'Sigmoid', 'Tanh', 'HardSigmoid']);

/** Whether ONNX Runtime computes a call with the convolution right before it. */
function isFused({ node, reads }: Operation, before: Operation | undefined): boolean {
  if (node === undefined || before?.node?.op !== 'Conv' || !isActivation(node)) return false;
  return reads[0] === before.writes[0];
}

/** Whether ONNX Runtime computes a node with a convolution, if one is right before it. */
export function isActivation({ op, domain }: Node): boolean {
  return domain === '' && FUSED_ACTIVATIONS.has(op);
}
