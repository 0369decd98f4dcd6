/**
 * Bounds of a Slice over a map. A tile is smaller than the map, so a bound of height or width must count from the end
 * that it stays near to: a start from the map's start, and an end from the map's end.
 * Source: onnx/docs/Operators.md, Slice.
 */
import { constantNumbers, inlineConstant } from './constant-values.js';
import type { TensorList } from './edit-graph.js';
import type { Graph, Node } from './graph.js';
import { inputAt, intsAttribute, knownShape, tensorAt } from './graph.js';
import { elementAt } from './lookup.js';

/** What a Slice takes along one axis. */
export interface SliceBounds {
  /** Axis from 0. */
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** An end that is at least this goes to the end of the axis, whatever its length. */
export const SLICE_END = 2 ** 31 - 1;

/** Bounds of each axis that a Slice names, or undefined if they are computed. */
export function sliceBounds(graph: Graph, node: Node): readonly SliceBounds[] | undefined {
  const rank = tensorAt(graph, inputAt(node, 0)).shape?.length;
  const given = (name: string, at: number) =>
    intsAttribute(node, name) ?? constantNumbers(graph, inputAt(node, at));
  const [starts, ends] = [given('starts', 1), given('ends', 2)];
  if (rank === undefined || starts === undefined || ends === undefined) return undefined;
  const hasAxes = inputAt(node, 3) >= 0 || intsAttribute(node, 'axes') !== undefined;
  const axes = hasAxes ? given('axes', 3) : starts.map((_, axis) => axis);
  const steps = inputAt(node, 4) >= 0 ? constantNumbers(graph, inputAt(node, 4)) : starts.map(() => 1);
  if (axes === undefined || steps === undefined) return undefined;
  return starts.map((start, at) => {
    const axis = elementAt(axes, at);
    return {
      axis: axis < 0 ? axis + rank : axis,
      start,
      end: elementAt(ends, at),
      step: elementAt(steps, at),
    };
  });
}

/** Makes the bounds of a Slice along height and width independent of the map's size. Negative steps stay as they are. */
export function explicitSlice({ graph, list, node }: SliceEdit): Node {
  if (node.op !== 'Slice' || node.domain !== '' || inputAt(node, 1) < 0) return node;
  const bounds = sliceBounds(graph, node);
  const { shape } = tensorAt(graph, inputAt(node, 0));
  if (bounds === undefined || shape?.length !== 4 || bounds.every(({ axis }) => axis < 2)) return node;
  if (bounds.some(({ step }) => step < 1)) return node;
  const sizes = knownShape(tensorAt(graph, inputAt(node, 0)));
  const starts = bounds.map(({ axis, start }) => {
    const size = elementAt(sizes, axis);
    return Math.min(size, Math.max(0, start < 0 ? start + size : start));
  });
  const ends = bounds.map(({ axis, end }) => {
    const size = elementAt(sizes, axis);
    return end >= size ? SLICE_END : end < 0 ? end : end - size;
  });
  const add = (name: string, values: readonly number[]) =>
    list.add({
      name: `${node.name}_${name}`,
      dtype: 'int64',
      shape: [values.length],
      constant: inlineConstant(BigInt64Array.from(values.map(BigInt))),
    });
  const axes = bounds.map(({ axis }) => axis);
  const steps = bounds.map(({ step }) => step);
  const given = [add('starts', starts), add('ends', ends), add('axes', axes), add('steps', steps)];
  return { ...node, inputs: [inputAt(node, 0), ...given] };
}

interface SliceEdit {
  readonly graph: Graph;
  readonly list: TensorList;
  readonly node: Node;
}
