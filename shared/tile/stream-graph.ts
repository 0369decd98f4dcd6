/**
 * This file makes a link of a stream a graph of its own.
 *
 * 1. The parts of each operand become Concat and Slice nodes.
 * 2. The operators lose their vertical padding, since padding rows are among the rows that they read.
 * 3. An operator that is cropped stays as it is, and a Slice takes the new rows of what it gives.
 */

import type { Graph, Node, Tensor } from '../graph/index.js';
import {
  constantNumbers,
  elementAt,
  intsAttribute,
  knownShape,
  present,
  TensorList,
  tensorAt,
} from '../graph/index.js';
import type { ShapeOf } from './shape-of.js';
import type { Phase, StreamLink } from './stream.js';
import { mapPhases } from './stream.js';
import type { LinkLayout, MadeOperand } from './stream-layout.js';
import { layoutLink } from './stream-layout.js';
import { streamRuleOf } from './stream-rule.js';

/** The graph of a link, and its inputs and outputs beyond those of the source graph. */
export interface LinkGraph {
  /** Graph of the link. Tensors of the source graph keep their indices; the stream's tensors come after them. */
  readonly graph: Graph;
  /** Operands that the stream makes, with the rows it carries from step to step. */
  readonly ports: readonly MadeOperand[];
  /** Inputs that are numbers of rows, and what they are by phase. */
  readonly counts: LinkLayout['counts'];
  /** Shapes in a step of each phase. */
  readonly shapes: Readonly<Record<Phase, ShapeOf>>;
}

/** Builds the graph of a link, for all steps of it. */
export function buildLinkGraph(graph: Graph, link: StreamLink): LinkGraph {
  const layout = layoutLink(graph, link);
  const builder = new LinkBuilder(graph, layout);
  const nodes: Node[] = [];
  for (let at = link.from; at < link.to; at += 1) {
    for (const made of layout.made.get(at) ?? []) nodes.push(...builder.makeOperand(made));
    nodes.push(...builder.rewire(at, elementAt(graph.nodes, at)));
  }
  const ports = [...layout.made.values()].flat();
  const { counts } = layout;
  const { boundary } = link.stream.space;
  const inputs = [...ports.flatMap(({ carry, tail }) => [carry, tail].filter(isPresent)), ...counts.keys()];
  const linked: Graph = {
    ...graph,
    nodes,
    inputs: [...boundary.inputs, ...inputs],
    outputs: [...boundary.outputs, ...ports.map(({ next }) => next).filter(isPresent)],
    tensors: builder.tensors,
  };
  return { graph: linked, ports, counts, shapes: mapPhases((phase) => shapesOf(linked, layout.rows[phase])) };
}

const NOTHING: ReadonlyMap<number, number> = new Map();

function isPresent(index: number | undefined): index is number {
  return index !== undefined;
}

function shapesOf(graph: Graph, rows: LinkLayout['rows'][Phase]): ShapeOf {
  return (index) => {
    const shape = knownShape(tensorAt(graph, index));
    const count = rows.get(index);
    return count === undefined ? shape : [...shape.slice(0, 2), count, ...shape.slice(3)];
  };
}

/** End of a Slice that goes to the end of an axis, whatever its length. */
const END = 2 ** 31 - 1;

const ROW_AXIS = 2;

/** The tensors and nodes of a link's graph while it is built. */
class LinkBuilder {
  readonly #graph: Graph;
  readonly #list: TensorList;
  readonly #layout: LinkLayout;
  /** Tensor of each integer constant. */
  readonly #constants = new Map<number, number>();

  constructor(graph: Graph, layout: LinkLayout) {
    this.#graph = graph;
    this.#list = new TensorList(graph);
    this.#layout = layout;
    for (const source of layout.sources) this.#addValue(source);
  }

  get tensors(): readonly Tensor[] {
    return this.#list.tensors;
  }

  /** Returns the nodes that join an operand's rows, keep those for the next step, and pick those to use. */
  makeOperand({ operand, carry, tail, take, joined, next, used }: MadeOperand): readonly Node[] {
    const { tensor, kept } = operand;
    const nodes: Node[] = [];
    if (joined !== tensor) {
      const inputs = [carry, tensor, tail].filter(isPresent);
      const attributes = { axis: { kind: 'int', value: ROW_AXIS } } as const;
      nodes.push(this.#node('Concat', { inputs, output: joined, attributes }));
    }
    if (next !== undefined)
      nodes.push(
        this.#slice({ map: joined, from: this.#integer(-kept), to: this.#integer(END), output: next }),
      );
    if (take !== undefined)
      nodes.push(this.#slice({ map: joined, from: this.#integer(0), to: take, output: used }));
    return nodes;
  }

  /** Returns the node at a position as it reads its operands in the stream, and what crops its output. */
  rewire(at: number, node: Node): readonly Node[] {
    // A node without space has no rows that pass by, so it is computed whole in every step.
    if (!this.#layout.rows.first.has(elementAt(node.outputs, 0))) return [node];
    const reads = this.#layout.reads.get(at) ?? NOTHING;
    const inputs = node.inputs.map((index, input) => reads.get(input) ?? index);
    if (streamRuleOf(this.#graph, node).kind === 'cropped') return this.#cropped(at, { ...node, inputs });
    if (node.op === 'Pad') return [this.#unpad({ ...node, inputs })];
    return [{ ...node, inputs, attributes: withoutRows(node.attributes) }];
  }

  #cropped(at: number, node: Node): readonly Node[] {
    const made = this.#layout.crops.get(at);
    if (made === undefined) return [node];
    const { from, to } = made;
    const slice = this.#slice({
      map: made.made,
      from: from ?? this.#integer(0),
      to,
      output: made.crop.tensor,
    });
    return [{ ...node, outputs: [made.made] }, slice];
  }

  #addValue(source: number): void {
    const { name, dtype, shape } = tensorAt(this.#graph, source);
    const isCount = this.#layout.counts.has(this.#list.tensors.length);
    this.#list.add(
      isCount
        ? { name: `${name}/count`, dtype: 'int64', shape: [1], constant: null }
        : { name: `${name}/rows`, dtype, shape, constant: null },
    );
  }

  #node(op: string, { inputs, output, attributes }: MadeNode): Node {
    const { name } = elementAt(this.#list.tensors, output);
    return { name, op, domain: '', inputs, outputs: [output], attributes, captures: [], layer: 0 };
  }

  #slice({ map, from, to, output }: RowSlice): Node {
    const inputs = [map, from, to, this.#integer(ROW_AXIS)];
    return this.#node('Slice', { inputs, output, attributes: {} });
  }

  #integer(value: number): number {
    const known = this.#constants.get(value);
    if (known !== undefined) return known;
    const index = this.#addConstant(`rows/${value}`, [value]);
    this.#constants.set(value, index);
    return index;
  }

  #addConstant(name: string, values: readonly number[]): number {
    const bytes = new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer);
    return this.#list.add({
      name,
      dtype: 'int64',
      shape: [values.length],
      constant: { kind: 'inline', bytes },
    });
  }

  /** Returns a Pad that pads columns alone. */
  #unpad(node: Node): Node {
    const attribute = intsAttribute(node, 'pads');
    if (attribute !== undefined) {
      const pads = { kind: 'ints', value: zeroRows(attribute) } as const;
      return { ...node, attributes: { ...node.attributes, pads } };
    }
    const [, given, ...others] = node.inputs;
    const pads = zeroRows(present(constantNumbers(this.#graph, given), `pads of ${node.name}`));
    const inputs = [elementAt(node.inputs, 0), this.#addConstant(`${node.name}/pads`, pads), ...others];
    return { ...node, inputs };
  }
}

/** A node with one output, which gives it its name. */
interface MadeNode {
  readonly inputs: readonly number[];
  readonly output: number;
  readonly attributes: Node['attributes'];
}

/** A slice of rows. */
interface RowSlice {
  readonly map: number;
  /** Tensor that holds the start. */
  readonly from: number;
  /** Tensor that holds the end. */
  readonly to: number;
  readonly output: number;
}

/** Sets the rows of a Pad node's pads to zero. They hold all begins, then all ends; rows are axis 2 of 4. */
function zeroRows(pads: readonly number[]): readonly number[] {
  return pads.map((value, at) => (at === 2 || at === 6 ? 0 : value));
}

/** Takes the padding above and below off a window: [top, left, bottom, right] becomes [0, left, 0, right]. */
function withoutRows(attributes: Node['attributes']): Node['attributes'] {
  const { pads } = attributes;
  if (pads?.kind !== 'ints') return attributes;
  const value = pads.value.map((pad, at) => (at % 2 === 0 ? 0 : pad));
  return { ...attributes, pads: { kind: 'ints', value } };
}
