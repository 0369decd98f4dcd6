/**
 * This file counts the work of kernels, from which a device's profile makes their latency.
 *
 * Not modelled: kernels that are chosen by size, and caches. So a device is measured at sizes like those of real plans.
 */

import type { Graph, Node } from '../graph/index.js';
import { elementAt, elementCount, intAttribute, knownShape, tensorAt } from '../graph/index.js';
import type { ShapeOf } from '../tile/index.js';
import type { WorkAmounts } from './device-profile.js';
import { emptyWork } from './device-profile.js';
import { countMacs } from './macs.js';

/** Memory of one run of a session. */
export interface RunPeak {
  /** Most bytes of tensors and scratch that are alive at once. */
  readonly peakBytes: number;
  /** Bytes of the session's outputs, which are copied into JavaScript memory at the end. */
  readonly outputBytes: number;
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

/** Counts the work of one call of a node that multiplies: a call, its multiplications and its weights. */
export function countKernelWork(graph: Graph, node: Node, shapeOf: ShapeOf): WorkAmounts {
  const macs = countMacs(graph, node, shapeOf);
  const weights = knownShape(tensorAt(graph, elementAt(node.inputs, 1)));
  const [filters, perFilter] = [elementAt(weights, 0), weights.slice(1)];
  const pixels = elementCount(shapeOf(elementAt(node.outputs, 0)).slice(2));
  const isConv = node.op === 'Conv';
  const isGrouped = isConv && intAttribute(node, 'group', 1) > 1;
  const isPointwise = isConv && perFilter.slice(1).every((size) => size === 1);
  return {
    ...emptyWork(),
    calls: 1,
    weightBytes: 4 * filters * elementCount(perFilter),
    [isGrouped ? 'groupedMacs' : isPointwise ? 'pointwiseMacs' : 'denseMacs']: macs,
    columnBytes: isConv && !isGrouped && !isPointwise ? 4 * pixels * elementCount(perFilter) : 0,
  };
}
