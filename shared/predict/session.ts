/**
 * A session as the predictor sees it: kernel calls over numbered values, and the sizes of the values in each kind of
 * step. Whole segments, tiles and streams all come down to this.
 *
 * Sizes stand in arrays that are used again, since the search asks for thousands of sessions. So the sizes of a step
 * are valid until the next step is asked for.
 */

import type { Graph, NodeRange } from '../graph/index.js';
import {
  BYTES_PER_ELEMENT,
  boundaryOf,
  elementAt,
  elementCount,
  knownShape,
  tensorAt,
} from '../graph/index.js';
import type { Grid, ShapeOf, Space } from '../tile/index.js';
import { tileShapes, tilesByShape, wholeShapes } from '../tile/index.js';
import type { KernelCosts } from './kernel-costs.js';

/** One kernel call. */
export interface Call {
  /** Position of the node. It is -1 for the joining and slicing that a stream adds. */
  readonly node: number;
  /** Values that are read. They are -1 for constants and absent inputs. */
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  /** Whether it is computed with the convolution before it. */
  readonly fused: boolean;
}

/** Sizes of all values in one kind of step, by value. Values below the number of tensors are tensors. */
export interface StepSizes {
  readonly bytes: number[];
  readonly rows: number[];
  readonly cols: number[];
}

/** Steps in which all values have the same sizes. */
export interface StepKind {
  readonly sizes: StepSizes;
  readonly count: number;
}

/** The kernel calls of a session in each step, and what becomes of its values. */
export interface Session {
  readonly calls: readonly Call[];
  /** Values that are copied in. */
  readonly ins: readonly number[];
  /** Values that are copied out. */
  readonly outs: readonly number[];
  /** Values that have buffers as long as the session's segment runs. */
  readonly held: readonly number[];
}

/** A session and its kinds of steps, in their order. */
export interface SessionSteps {
  readonly range: NodeRange;
  readonly session: Session;
  readonly steps: Iterable<StepKind>;
}

/** Makes sizes without values. */
export function emptySizes(): StepSizes {
  return { bytes: [], rows: [], cols: [] };
}

/** Makes the call of a node that reads these values. @param before is the call right before it. */
export function callOf(
  { kernels }: KernelCosts,
  { node, reads, before }: Pick<Call, 'node' | 'reads'> & { readonly before: Call | undefined },
): Call {
  const { isActivation, writes } = elementAt(kernels, node);
  const isAfterConv = before !== undefined && kernels[before.node]?.isConv === true;
  const fused = isActivation && isAfterConv && reads[0] === before.writes[0];
  return { node, reads, writes, fused };
}

/** Makes the session of a range that runs whole. Images are converted for it, and other maps are read as they are. */
export function wholeSession(graph: Graph, kernels: KernelCosts, range: NodeRange): SessionSteps {
  const { inputs, outputs } = boundaryOf(graph, range);
  const calls = callsOf(kernels, range);
  const sizes = sizesOf(graph, calls, wholeShapes(graph));
  const held = inputs.filter((index) => graph.inputs.includes(index));
  return { range, session: { calls, ins: inputs, outs: outputs, held }, steps: [{ sizes, count: 1 }] };
}

/** Makes the session of a range in tiles. Tiles of one shape are one kind of step. */
export function tiledSession(
  graph: Graph,
  kernels: KernelCosts,
  { range, space, grid }: { readonly range: NodeRange; readonly space: Space; readonly grid: Grid },
): SessionSteps {
  const calls = callsOf(kernels, range);
  const { inputs, outputs } = space.boundary;
  const steps = tilesByShape(grid, space.reference).map(({ example, tiles }) => ({
    sizes: sizesOf(graph, calls, tileShapes(graph, example)),
    count: tiles.length,
  }));
  return { range, session: { calls, ins: inputs, outs: outputs, held: inputs }, steps };
}

function callsOf(kernels: KernelCosts, { from, to }: NodeRange): readonly Call[] {
  const calls: Call[] = [];
  for (let node = from; node < to; node += 1) {
    const { reads } = elementAt(kernels.kernels, node);
    calls.push(callOf(kernels, { node, reads, before: calls.at(-1) }));
  }
  return calls;
}

/** Returns the sizes of the tensors of some calls. */
function sizesOf(graph: Graph, calls: readonly Call[], shapeOf: ShapeOf): StepSizes {
  const sizes = emptySizes();
  const add = (tensor: number) => {
    if (tensor < 0 || sizes.bytes[tensor] !== undefined) return;
    const shape = shapeOf(tensor);
    sizes.bytes[tensor] = elementCount(shape) * BYTES_PER_ELEMENT[tensorAt(graph, tensor).dtype];
    sizes.rows[tensor] = shape[2] ?? 1;
    sizes.cols[tensor] = shape[3] ?? 1;
  };
  for (const { reads, writes } of calls) {
    for (const tensor of reads) add(tensor);
    for (const tensor of writes) add(tensor);
  }
  return sizes;
}

/** Gives the shapes of the tensors of a step. */
export function shapesIn(graph: Graph, { rows, cols }: StepSizes): ShapeOf {
  return (tensor) => {
    const shape = knownShape(tensorAt(graph, tensor));
    if (shape.length !== 4) return shape;
    return [...shape.slice(0, 2), rows[tensor] ?? elementAt(shape, 2), cols[tensor] ?? elementAt(shape, 3)];
  };
}
