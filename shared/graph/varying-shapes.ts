/**
 * Finds the tensors whose shape depends on the values of the graph's inputs, not on their shapes alone: the boxes that a
 * NonMaxSuppression leaves, say. No such shape may be measured once and taken for fixed, and nothing is cut where such a
 * tensor is alive.
 *
 * Two facts go forwards through the nodes: whether a tensor's values depend on the inputs' values, and whether its shape
 * does. Shape and Size take values from a shape, so theirs depend on the inputs only if that shape does. Each fact may be
 * said of a tensor that doesn't have it, never the other way round. Source: onnx/docs/Operators.md.
 */
import type { Graph, Node } from './graph.js';
import { inputAt, tensorsRead, tensorsWritten } from './graph.js';
import { memoByGraph } from './memo.js';

/** Operators whose output's size is found out in their operands' values, and operators with subgraphs, which may hold some. */
const COUNTED = new Set(['NonZero', 'NonMaxSuppression', 'Unique', 'Compress', 'If', 'Loop', 'Scan']);

/** Operands whose values are sizes, places or axes, by operator. Of operators with a newer form both forms count. */
const SIZING: ReadonlyMap<string, readonly number[]> = new Map(
  Object.entries({
    ...{
      Reshape: [1],
      Expand: [1],
      Tile: [1],
      Slice: [1, 2, 3, 4],
      TopK: [1],
      Split: [1],
      SplitToSequence: [1],
    },
    ...{ Squeeze: [1], Unsqueeze: [1], Pad: [1, 3], CenterCropPad: [1], OneHot: [1], Range: [0, 1, 2] },
    ...{
      Resize: [1, 2, 3],
      Upsample: [1],
      ConstantOfShape: [0],
      Col2Im: [1, 2],
      MaxUnpool: [2],
      AffineGrid: [1],
    },
    ...{ ReduceMax: [1], ReduceMin: [1], ReduceMean: [1], ReduceSum: [1], ReduceProd: [1], ReduceL1: [1] },
    ...{
      ReduceL2: [1],
      ReduceLogSum: [1],
      ReduceLogSumExp: [1],
      ReduceSumSquare: [1],
      DFT: [1, 2],
      STFT: [1, 3],
    },
    ...{ HannWindow: [0], HammingWindow: [0], BlackmanWindow: [0], MelWeightMatrix: [0, 1] },
  }),
);

/** Tensors whose shape depends on the values of the graph's inputs. */
export const varyingTensors = memoByGraph((graph): ReadonlySet<number> => {
  const values = new Set(graph.inputs);
  const shapes = new Set<number>();
  for (const node of graph.nodes) {
    const varies = shapeVaries(node, { values, shapes });
    const depends = valuesDepend(node, { values, shapes });
    for (const index of tensorsWritten(node)) {
      if (varies) shapes.add(index);
      if (depends) values.add(index);
    }
  }
  return shapes;
});

/** Position of the first node that reads or writes a tensor whose shape varies; the number of nodes if there is none. */
export const varyingFrom = memoByGraph((graph): number => {
  const varying = varyingTensors(graph);
  const first = graph.nodes.findIndex((node) => touches(node, varying));
  return first < 0 ? graph.nodes.length : first;
});

/** The graph with its nodes from the first varying shape on at the end, so that the others stand before it. */
export function moveVaryingLast(graph: Graph): Graph {
  const moved = new Set<number>();
  const last = graph.nodes.filter((node) => {
    const isLast =
      touches(node, varyingTensors(graph)) || tensorsRead(node).some((index) => moved.has(index));
    if (isLast) for (const index of tensorsWritten(node)) moved.add(index);
    return isLast;
  });
  if (last.length === 0) return graph;
  const first = graph.nodes.filter((node) => !last.includes(node));
  return { ...graph, nodes: [...first, ...last].map((node, layer) => ({ ...node, layer })) };
}

interface Dependent {
  /** Tensors whose values depend on the inputs' values. */
  readonly values: ReadonlySet<number>;
  readonly shapes: ReadonlySet<number>;
}

function shapeVaries(node: Node, { values, shapes }: Dependent): boolean {
  const read = tensorsRead(node);
  if (isOfShape(node)) return false;
  if (read.some((index) => shapes.has(index))) return true;
  if (COUNTED.has(node.op)) return isCountedByValues(node, values);
  return (SIZING.get(node.op) ?? []).some((at) => values.has(inputAt(node, at)));
}

/** The branch of an If is chosen, and Compress counts, by one operand. Else any value may count. */
function isCountedByValues(node: Node, values: ReadonlySet<number>): boolean {
  if (node.op === 'If') return values.has(inputAt(node, 0));
  if (node.op === 'Compress') return values.has(inputAt(node, 1));
  return tensorsRead(node).some((index) => values.has(index));
}

function valuesDepend(node: Node, { values, shapes }: Dependent): boolean {
  const read = tensorsRead(node);
  return read.some((index) => shapes.has(index) || (values.has(index) && !isOfShape(node)));
}

function isOfShape({ op, domain }: Node): boolean {
  return domain === '' && (op === 'Shape' || op === 'Size');
}

function touches(node: Node, tensors: ReadonlySet<number>): boolean {
  return [...tensorsRead(node), ...tensorsWritten(node)].some((index) => tensors.has(index));
}
