/**
 * Brings graphs of old operator sets to version 10, from which on Slice takes its bounds as tensors, as streams need it.
 *
 * The operators that changed from 7 to 10 become what they are in 10: Slice and TopK get their attributes as inputs,
 * Upsample becomes Resize, BatchNormalization loses a flag. All others mean the same in 10. A graph with subgraphs or
 * functions stays as it is, since these would have to change, too. Source: github.com/onnx/onnx, docs/Changelog.md.
 */
import type { Constant, DataType, Graph, Node, Tensor } from '../graph/index.js';
import { inlineConstant, inputAt, intAttribute, intsAttribute } from '../graph/index.js';

const VERSION = 10;

/** The same graph if it is new enough, or can't be changed. */
export function upgradeOpset(graph: Graph): Graph {
  const version = graph.opsets[''] ?? VERSION;
  const isClosed = graph.functions.length === 0 && graph.nodes.every((node) => !hasSubgraph(node));
  if (version >= VERSION || !isClosed) return graph;
  const added = new AddedConstants(graph.tensors);
  const nodes = graph.nodes.map((node) => upgradeNode(node, added));
  if (nodes.some((node) => node === undefined)) return graph;
  return {
    ...graph,
    opsets: { ...graph.opsets, '': VERSION },
    tensors: added.tensors,
    nodes: nodes.filter((node) => node !== undefined),
  };
}

function hasSubgraph({ op, domain, captures }: Node): boolean {
  return captures.length > 0 || (domain === '' && ['If', 'Loop', 'Scan'].includes(op));
}

/** The graph's tensors, and constants after them. */
class AddedConstants {
  readonly tensors: Tensor[];
  readonly #names: Set<string>;

  constructor(tensors: readonly Tensor[]) {
    this.tensors = [...tensors];
    this.#names = new Set(tensors.map(({ name }) => name));
  }

  ints(values: readonly number[]): number {
    return this.#add('int64', values.length, inlineConstant(BigInt64Array.from(values, BigInt)));
  }

  floats(values: readonly number[]): number {
    return this.#add('float32', values.length, inlineConstant(Float32Array.from(values)));
  }

  #add(dtype: DataType, length: number, constant: Constant): number {
    let name = `mafat.upgraded.${this.tensors.length}`;
    while (this.#names.has(name)) name += '_';
    return this.tensors.push({ name, dtype, shape: [length], constant }) - 1;
  }
}

/** Undefined if the node means something that version 10 hasn't. */
function upgradeNode(node: Node, added: AddedConstants): Node | undefined {
  if (node.domain !== '') return node;
  switch (node.op) {
    case 'Slice':
      return upgradeSlice(node, added);
    case 'TopK':
      return upgradeTopK(node, added);
    case 'Upsample':
      return upgradeUpsample(node, added);
    case 'BatchNormalization':
      return intAttribute(node, 'spatial', 1) === 1 ? without(node, ['spatial']) : undefined;
    default:
      return node;
  }
}

function upgradeSlice(node: Node, added: AddedConstants): Node | undefined {
  const [starts, ends] = [intsAttribute(node, 'starts'), intsAttribute(node, 'ends')];
  if (starts === undefined || ends === undefined) return undefined;
  const axes = intsAttribute(node, 'axes') ?? starts.map((_, axis) => axis);
  const bounds = [starts, ends, axes].map((values) => added.ints(values));
  return { ...without(node, ['starts', 'ends', 'axes']), inputs: [inputAt(node, 0), ...bounds] };
}

function upgradeTopK(node: Node, added: AddedConstants): Node | undefined {
  const count = intAttribute(node, 'k', 0);
  if (count < 1) return undefined;
  return { ...without(node, ['k']), inputs: [inputAt(node, 0), added.ints([count])] };
}

/** Until version 8 the scales were an attribute. */
function upgradeUpsample(node: Node, added: AddedConstants): Node | undefined {
  const { scales } = node.attributes;
  if (node.inputs.length >= 2) return { ...node, op: 'Resize' };
  if (scales?.kind !== 'floats') return undefined;
  return {
    ...without(node, ['scales']),
    op: 'Resize',
    inputs: [inputAt(node, 0), added.floats(scales.value)],
  };
}

function without(node: Node, names: readonly string[]): Node {
  const kept = Object.entries(node.attributes).filter(([name]) => !names.includes(name));
  return { ...node, attributes: Object.fromEntries(kept) };
}
