/**
 * Rewrites a saved model so that streams join their rows in the order of blocked convolutions.
 *
 * ONNX Runtime runs convolutions in blocked order (NCHWc: blocks of eight or sixteen channels, channels of a
 * block innermost). It has no Concat and Slice of rows in that order. So it reorders each map to plain order
 * before a join, and to blocked order again after it. For operators that only move rows a blocked map of [1,
 * C, H, W] is a plain map of [1, C/b, H, W*b]. Therefore the reorders can be replaced:
 *
 *     ReorderOutput -> Concat -> Slice, ReorderInput -> Conv
 *     Reshape       -> Concat -> Slice, Reshape      -> Conv
 *
 * A Reshape copies nothing. The carried rows of a stream are in blocked order then, and the shapes of the
 * session's inputs say so.
 *
 * A join stays as it is in three cases: its channels don't fill whole blocks, another node reads the carried
 * rows, or a node reads the joined rows in plain order.
 */

import type { Graph, Node, Tensor } from '../../../shared/graph/index.js';
import {
  constantNumbers,
  elementAt,
  inlineConstant,
  intAttribute,
  producers,
  TensorList,
  tensorAt,
} from '../../../shared/graph/index.js';

export const BLOCKED_DOMAIN = 'com.microsoft.nchwc';

const ROW_AXIS = 2;

/** @param block channels in a block. @returns the same graph if there is nothing to join. */
export function joinInBlocks(graph: Graph, block: number): Graph {
  const joins = findJoins(graph, block);
  if (joins.length === 0) return graph;
  const rewriter = new JoinRewriter(graph, block);
  for (const join of joins) rewriter.rewrite(join);
  return rewriter.build();
}

interface Join {
  readonly concat: Node;
  /** New rows in plain order, made by a ReorderOutput. */
  readonly plain: number;
  /** New rows in blocked order, which that ReorderOutput reads. */
  readonly blocked: number;
  readonly channels: number;
}

function findJoins(graph: Graph, block: number): readonly Join[] {
  const made = producers(graph);
  const readers = readersOf(graph);
  return graph.nodes.flatMap((concat) => {
    if (concat.op !== 'Concat' || intAttribute(concat, 'axis', 0) !== ROW_AXIS) return [];
    const carried = concat.inputs.filter((tensor) => graph.inputs.includes(tensor));
    const [plain, ...others] = concat.inputs.filter((tensor) => !carried.includes(tensor));
    if (plain === undefined || others.length > 0) return [];
    // Rows that no node makes come from outside, in plain order.
    const reorder = graph.nodes[elementAt(made, plain)];
    if (reorder === undefined || !isReorder(reorder, 'ReorderOutput')) return [];
    const channels = intAttribute(reorder, 'channels', 0);
    const canJoin =
      channels % block === 0 &&
      carried.every((tensor) => readers.get(tensor)?.length === 1) &&
      isReadInBlocks(graph, { tensor: outputOf(concat), readers });
    return canJoin ? [{ concat, plain, blocked: elementAt(reorder.inputs, 0), channels }] : [];
  });
}

/** Nodes that read a tensor, by tensor; none for a tensor that nothing reads. */
type Readers = ReadonlyMap<number, readonly Node[]>;

function readersOf({ nodes }: Graph): Readers {
  const readers = new Map<number, Node[]>();
  for (const node of nodes)
    for (const tensor of node.inputs) readers.set(tensor, [...(readers.get(tensor) ?? []), node]);
  return readers;
}

/** Whether nodes only slice these rows, reorder them to blocks, or pass them out of the session. */
function isReadInBlocks(
  graph: Graph,
  { tensor, readers }: { readonly tensor: number; readonly readers: Readers },
): boolean {
  return (readers.get(tensor) ?? []).every(
    (node) =>
      isReorder(node, 'ReorderInput') ||
      (isRowSlice(graph, node) && isReadInBlocks(graph, { tensor: outputOf(node), readers })),
  );
}

/** Whether a node reorders between blocked order and plain order with channels first. */
function isReorder(node: Node, op: 'ReorderInput' | 'ReorderOutput'): boolean {
  return node.op === op && node.domain === BLOCKED_DOMAIN && intAttribute(node, 'channels_last', 0) === 0;
}

/** Whether a node slices along the rows alone, as nodes of streams do. */
function isRowSlice(graph: Graph, { op, inputs }: Node): boolean {
  return op === 'Slice' && constantNumbers(graph, inputs[3])?.join() === String(ROW_AXIS);
}

function outputOf(node: Node): number {
  return elementAt(node.outputs, 0);
}

class JoinRewriter {
  readonly #graph: Graph;
  readonly #block: number;
  readonly #list: TensorList;
  /** Constants that were added, by their values. */
  readonly #constants = new Map<string, number>();
  /** Blocked rows as [1, C/b, H, W*b], by the tensor in plain order. */
  readonly #views = new Map<number, number>();
  /** Nodes that replace a node. */
  readonly #instead = new Map<Node, readonly Node[]>();
  /** New shapes of tensors that hold rows in blocked order. */
  readonly #shapes = new Map<number, readonly number[]>();

  constructor(graph: Graph, block: number) {
    this.#graph = graph;
    this.#block = block;
    this.#list = new TensorList(graph);
  }

  rewrite({ concat, plain, blocked, channels }: Join): void {
    const blocks = channels / this.#block;
    const view = this.#views.get(plain);
    const rows = view ?? this.#addTensor(plain);
    const inputs = concat.inputs.map((tensor) => (tensor === plain ? rows : tensor));
    const reshape = view === undefined ? [this.#reshape(blocked, { to: rows, channels: blocks })] : [];
    this.#views.set(plain, rows);
    this.#instead.set(concat, [...reshape, { ...concat, inputs }]);
    for (const tensor of concat.inputs) if (tensor !== plain) this.#shapes.set(tensor, [1, blocks, -1, -1]);
    this.#rewriteReaders(outputOf(concat), channels);
  }

  build(): Graph {
    const nodes = this.#graph.nodes.flatMap((node) => this.#instead.get(node) ?? [node]);
    const read = new Set([...nodes.flatMap(({ inputs }) => inputs), ...this.#graph.outputs]);
    const tensors = this.#list.tensors.map((tensor, index) => this.#reshaped(tensor, index));
    const isNeeded = (node: Node) =>
      !isReorder(node, 'ReorderOutput') || node.outputs.some((tensor) => read.has(tensor));
    return { ...this.#graph, nodes: nodes.filter(isNeeded), tensors };
  }

  #rewriteReaders(rows: number, channels: number): void {
    for (const node of this.#graph.nodes.filter(({ inputs }) => inputs.includes(rows))) {
      const output = outputOf(node);
      if (isReorder(node, 'ReorderInput'))
        this.#instead.set(node, [this.#reshape(rows, { to: output, channels })]);
      else this.#rewriteReaders(output, channels);
    }
  }

  /** A tensor with its new shape, if it holds rows in blocked order now. */
  #reshaped(tensor: Tensor, index: number): Tensor {
    const shape = this.#shapes.get(index);
    return shape === undefined ? tensor : { ...tensor, shape };
  }

  #addTensor(like: number): number {
    const { name, dtype } = tensorAt(this.#graph, like);
    return this.#list.add({ name: `${name}/blocks`, dtype, shape: null, constant: null });
  }

  /** A node that keeps the rows and sets the number of channels, or of blocks of channels. */
  #reshape(from: number, { to, channels }: { readonly to: number; readonly channels: number }): Node {
    const shape = this.#integers([0, channels, 0, -1]);
    const { name } = elementAt(this.#list.tensors, to);
    return {
      name: `${name}/reshape`,
      op: 'Reshape',
      domain: '',
      inputs: [from, shape],
      outputs: [to],
      attributes: {},
      captures: [],
      layer: 0,
    };
  }

  #integers(values: readonly number[]): number {
    const key = values.join();
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const constant = inlineConstant(BigInt64Array.from(values.map(BigInt)));
    const index = this.#list.add({ name: `shape/${key}`, dtype: 'int64', shape: [values.length], constant });
    this.#constants.set(key, index);
    return index;
  }
}
