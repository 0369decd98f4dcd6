/**
 * A link of a stream as a graph of its own: what each operand is made of becomes Concat and Slice nodes, and
 * vertical padding, which is among the rows now, is taken off the operators.
 *
 * Operands of one tensor that are made of the same rows share them.
 */

import { constantNumbers } from '../graph/constant-values.js';
import { TensorList } from '../graph/edit-graph.js';
import type { Attribute, Graph, Node, Tensor } from '../graph/graph.js';
import { intsAttribute, knownShape, tensorAt } from '../graph/graph.js';
import type { ShapeOf } from './shape-of.js';
import type { Phase, RowsOf, Stream, StreamLink, StreamOperand } from './stream.js';
import { mapPhases, PHASES } from './stream.js';

/** Inputs and outputs of the link's graph for one operand, by tensor index. */
export interface CarryPorts {
  readonly operand: StreamOperand;
  /** [1, C, top or kept, W]; undefined where nothing is ever carried in. */
  readonly carry: number | undefined;
  /** [1, C, kept, W], for the next step. */
  readonly next: number | undefined;
  /** [1, C, 0 or bottom, W]. */
  readonly tail: number | undefined;
  /** int64 [1]: rows to use. */
  readonly take: number | undefined;
}

export interface LinkGraph {
  /** Tensors of the source graph keep their indices; those of the stream are behind them. */
  readonly graph: Graph;
  readonly ports: readonly CarryPorts[];
  /** Shapes in a step of each phase. */
  readonly shapes: Readonly<Record<Phase, ShapeOf>>;
}

export function buildLinkGraph(graph: Graph, { from, to, stream }: StreamLink): LinkGraph {
  const builder = new LinkBuilder(graph, stream);
  const changed = new Map<number, StreamOperand[]>();
  for (const operand of stream.operands) {
    changed.set(operand.node, [...(changed.get(operand.node) ?? []), operand]);
  }
  const nodes = graph.nodes.slice(from, to).flatMap((node, at) => {
    const operands = changed.get(from + at) ?? [];
    const made = operands.flatMap((operand) => builder.addOperand(operand));
    return [...made, builder.rewire(node, operands)];
  });
  const { boundary } = stream.space;
  const inputs = [...boundary.inputs, ...builder.inputs];
  const outputs = [...boundary.outputs, ...builder.outputs];
  const linked: Graph = { ...graph, nodes, inputs, outputs, tensors: builder.tensors };
  const shapes = mapPhases((phase) => shapesOf(linked, builder.rows[phase]));
  return { graph: linked, ports: builder.ports, shapes };
}

function shapesOf(graph: Graph, rows: RowsOf): ShapeOf {
  return (index) => {
    const shape = knownShape(tensorAt(graph, index));
    const count = rows.get(index);
    return count === undefined ? shape : [...shape.slice(0, 2), count, ...shape.slice(3)];
  };
}

/** Slice to the end of an axis, whatever its length. */
const END = 2 ** 31 - 1;

class LinkBuilder {
  readonly inputs: number[] = [];
  readonly outputs: number[] = [];
  readonly ports: CarryPorts[] = [];
  readonly rows: Readonly<Record<Phase, Map<number, number>>>;
  readonly #list: TensorList;
  readonly #graph: Graph;
  /** What the operand of a node is read from instead. */
  readonly #used = new Map<StreamOperand, number>();
  readonly #shared = new Map<string, number>();
  readonly #constants = new Map<number, number>();

  constructor(graph: Graph, { rows }: Stream) {
    this.#graph = graph;
    this.#list = new TensorList(graph);
    this.rows = mapPhases((phase) => new Map(rows[phase]));
  }

  get tensors(): readonly Tensor[] {
    return this.#list.tensors;
  }

  /** Nodes that make an operand, and its ports; none if another operand is made of the same rows. */
  addOperand(operand: StreamOperand): readonly Node[] {
    const { tensor, top, kept, bottom, fill, takes } = operand;
    const key = JSON.stringify([tensor, top, kept, bottom, fill, takes]);
    const shared = this.#shared.get(key);
    if (shared !== undefined) {
      this.#used.set(operand, shared);
      return [];
    }
    const nodes: Node[] = [];
    const carry = top > 0 || kept > 0 ? this.#port(operand, 'carry') : undefined;
    const tail = bottom > 0 ? this.#port(operand, 'tail') : undefined;
    const parts = [carry, tensor, tail].filter((index) => index !== undefined);
    const joined =
      parts.length === 1
        ? tensor
        : this.#add(nodes, 'Concat', { operand, inputs: parts, attributes: { axis: axisAttribute() } });
    const next =
      kept > 0
        ? this.#slice(nodes, { operand, map: joined, from: this.#integer(-kept), to: this.#integer(END) })
        : undefined;
    const take = takes === undefined ? undefined : this.#takePort(operand);
    const used =
      take === undefined
        ? joined
        : this.#slice(nodes, { operand, map: joined, from: this.#integer(0), to: take });
    if (next !== undefined) this.outputs.push(next);
    this.ports.push({ operand, carry, next, tail, take });
    this.#recordRows(operand, { joined, next, used, carry, tail });
    this.#used.set(operand, used);
    this.#shared.set(key, used);
    return nodes;
  }

  /** The node as it reads its operands in the stream. */
  rewire(node: Node, operands: readonly StreamOperand[]): Node {
    const inputs = [...node.inputs];
    for (const operand of operands) inputs[operand.input] = this.#used.get(operand) ?? operand.tensor;
    // A node without space has no rows that pass by: it is computed whole in every step.
    if (!this.rows.first.has(node.outputs[0] ?? -1)) return node;
    if (node.op === 'Pad') return this.#unpad({ ...node, inputs });
    return { ...node, inputs, attributes: withoutRows(node.attributes) };
  }

  #recordRows({ tensor, top, kept, bottom, takes }: StreamOperand, made: MadeTensors): void {
    for (const phase of PHASES) {
      const rows = this.rows[phase];
      const set = (index: number | undefined, count: number) => {
        if (index !== undefined) rows.set(index, count);
      };
      const before = phase === 'first' ? top : kept;
      const after = phase === 'last' ? bottom : 0;
      set(made.carry, before);
      set(made.tail, after);
      set(made.next, kept);
      if (made.joined !== tensor) set(made.joined, before + (rows.get(tensor) ?? 0) + after);
      if (takes !== undefined) set(made.used, takes[phase]);
    }
  }

  #port(operand: StreamOperand, kind: string): number {
    const index = this.#addLike(operand, kind);
    this.inputs.push(index);
    return index;
  }

  #takePort({ tensor }: StreamOperand): number {
    const { name } = tensorAt(this.#graph, tensor);
    const index = this.#list.add({ name: `${name}/take`, dtype: 'int64', shape: [1], constant: null });
    this.inputs.push(index);
    return index;
  }

  #addLike({ tensor }: StreamOperand, kind: string): number {
    const { name, dtype, shape } = tensorAt(this.#graph, tensor);
    return this.#list.add({ name: `${name}/${kind}`, dtype, shape, constant: null });
  }

  #add(nodes: Node[], op: string, { operand, inputs, attributes }: MadeNode): number {
    const output = this.#addLike(operand, op.toLowerCase());
    const { layer } = this.#graph.nodes[operand.node] ?? { layer: 0 };
    const { name } = tensorAt({ ...this.#graph, tensors: this.#list.tensors }, output);
    nodes.push({ name, op, domain: '', inputs, outputs: [output], attributes, captures: [], layer });
    return output;
  }

  #slice(nodes: Node[], { operand, map, from, to }: RowSlice): number {
    const inputs = [map, from, to, this.#integer(2)];
    return this.#add(nodes, 'Slice', { operand, inputs, attributes: {} });
  }

  #integer(value: number): number {
    const known = this.#constants.get(value);
    if (known !== undefined) return known;
    const bytes = new Uint8Array(BigInt64Array.of(BigInt(value)).buffer);
    const index = this.#list.add({
      name: `rows/${value}`,
      dtype: 'int64',
      shape: [1],
      constant: { kind: 'inline', bytes },
    });
    this.#constants.set(value, index);
    return index;
  }

  /** A Pad of columns alone. */
  #unpad(node: Node): Node {
    const attribute = intsAttribute(node, 'pads');
    if (attribute !== undefined)
      return {
        ...node,
        attributes: { ...node.attributes, pads: { kind: 'ints', value: zeroRows(attribute) } },
      };
    const pads = zeroRows(constantNumbers(this.#graph, node.inputs[1]) ?? []);
    const bytes = new Uint8Array(BigInt64Array.from(pads.map(BigInt)).buffer);
    const index = this.#list.add({
      name: `${node.name}/pads`,
      dtype: 'int64',
      shape: [pads.length],
      constant: { kind: 'inline', bytes },
    });
    return { ...node, inputs: [node.inputs[0] ?? -1, index, ...node.inputs.slice(2)] };
  }
}

/** By tensor index. */
interface MadeTensors {
  readonly carry: number | undefined;
  readonly tail: number | undefined;
  readonly next: number | undefined;
  readonly joined: number;
  readonly used: number;
}

interface MadeNode {
  readonly operand: StreamOperand;
  readonly inputs: readonly number[];
  readonly attributes: Node['attributes'];
}

interface RowSlice {
  readonly operand: StreamOperand;
  readonly map: number;
  readonly from: number;
  readonly to: number;
}

function axisAttribute(): Attribute {
  return { kind: 'int', value: 2 };
}

/** Pads of a Pad node: all begins, then all ends; rows are axis 2 of 4. */
function zeroRows(pads: readonly number[]): readonly number[] {
  return pads.map((value, at) => (at === 2 || at === 6 ? 0 : value));
}

/** Windows without padding above and below: [top, left, bottom, right] becomes [0, left, 0, right]. */
function withoutRows(attributes: Node['attributes']): Node['attributes'] {
  const { pads } = attributes;
  if (pads?.kind !== 'ints') return attributes;
  return {
    ...attributes,
    pads: { kind: 'ints', value: pads.value.map((value, at) => (at % 2 === 0 ? 0 : value)) },
  };
}
