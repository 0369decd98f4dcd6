/** Builds graphs node by node: the importer of Darknet networks and the tests use it. */
import { inlineConstant } from './constant-values.js';
import type { Attribute, DataType, Graph, Node, Tensor } from './graph.js';
import { elementAt } from './lookup.js';

/** A map of a graph under construction: its tensor index and its dimensions. The batch is 1. */
export interface Feature {
  readonly tensor: number;
  readonly channels: number;
  readonly rows: number;
  readonly cols: number;
}

export interface NodeSpec {
  readonly op: string;
  readonly inputs: readonly number[];
  readonly attributes?: Readonly<Record<string, number | string | readonly number[]>>;
  /** Names of the attributes whose numbers are floats; other numbers are integers. */
  readonly floats?: readonly string[];
}

/** Version of the operator set that built graphs use. */
const BUILT_OPSET = 18;
const BUILT_IR_VERSION = 8;

/** Graph under construction. Nodes are added in topological order with known shapes and named `<layer>/<op>`. */
export class GraphBuilder {
  readonly #tensors: Tensor[] = [];
  readonly #nodes: Node[] = [];
  readonly #inputs: number[] = [];
  readonly #names = new Map<string, number>();

  addInput(name: string, shape: readonly number[]): number {
    const index = this.#add({ name, dtype: 'float32', shape, constant: null });
    this.#inputs.push(index);
    return index;
  }

  addConstant(name: string, values: Float32Array | BigInt64Array, shape: readonly number[]): number {
    const dtype: DataType = values instanceof Float32Array ? 'float32' : 'int64';
    return this.#add({ name: this.#unique(name), dtype, shape, constant: inlineConstant(values) });
  }

  /** @returns the tensor index of the node's only output. */
  addNode(layer: number, spec: NodeSpec, output: Pick<Tensor, 'dtype' | 'shape'>): number {
    const name = this.#unique(`${layer}/${spec.op}`);
    const index = this.#add({ name: `${name}:out`, ...output, constant: null });
    const floats = new Set(spec.floats);
    const attributes = Object.fromEntries(
      Object.entries(spec.attributes ?? {}).map(([key, value]) => [key, attributeOf(value, floats.has(key))]),
    );
    const node = { name, op: spec.op, domain: '', inputs: spec.inputs, outputs: [index], attributes };
    this.#nodes.push({ ...node, captures: [], layer });
    return index;
  }

  /** Adds a node whose only output is a float32 map. */
  addMap(layer: number, spec: NodeSpec, feature: Omit<Feature, 'tensor'>): Feature {
    const shape = [1, feature.channels, feature.rows, feature.cols];
    return { ...feature, tensor: this.addNode(layer, spec, { dtype: 'float32', shape }) };
  }

  build(name: string, outputs: readonly number[]): Graph {
    return {
      name,
      irVersion: BUILT_IR_VERSION,
      opsets: { '': BUILT_OPSET },
      tensors: this.#tensors,
      nodes: this.#nodes,
      inputs: this.#inputs,
      outputs,
      functions: [],
    };
  }

  tensorName(index: number): string {
    return elementAt(this.#tensors, index).name;
  }

  #add(tensor: Tensor): number {
    return this.#tensors.push(tensor) - 1;
  }

  #unique(name: string): string {
    const count = this.#names.get(name) ?? 0;
    this.#names.set(name, count + 1);
    return count === 0 ? name : `${name}.${count}`;
  }
}

function attributeOf(value: number | string | readonly number[], isFloat: boolean): Attribute {
  if (typeof value === 'string') return { kind: 'string', value };
  if (typeof value === 'number') return { kind: isFloat ? 'float' : 'int', value };
  return { kind: isFloat ? 'floats' : 'ints', value };
}
