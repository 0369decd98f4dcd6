/**
 * Some networks are computed otherwise than their file says. ONNX Runtime fuses the operators between DequantizeLinear and
 * QuantizeLinear into operators on bytes, and computes halves (float16) as floats. A cut between what is fused, or a map
 * of halves where floats would pass, changes results by far more than a rounding. So such a network is planned as
 * ONNX Runtime computes it. This file says which networks these are, and takes over the graph that ONNX Runtime saved.
 */

import { constantTensors } from './constant-expressions.js';
import { compactGraph, TensorList } from './edit-graph.js';
import type { Graph, Node, Tensor } from './graph.js';
import { tensorAt, tensorsRead, tensorsWritten } from './graph.js';
import { elementAt, present } from './lookup.js';

/** Number of the type float16 in the attributes of ONNX. */
const FLOAT16 = 10;

/** Whether ONNX Runtime computes a network otherwise than its file says. */
export function isComputedOtherwise(graph: Graph): boolean {
  const read = new Set(graph.nodes.flatMap(tensorsRead));
  return graph.nodes.some(
    (node) =>
      (node.op === 'DequantizeLinear' && tensorsWritten(node).some((index) => read.has(index))) ||
      (node.op === 'Cast' && node.attributes.to?.kind === 'int' && node.attributes.to.value === FLOAT16) ||
      tensorsRead(node).some((index) => tensorAt(graph, index).dtype === 'float16'),
  );
}

/**
 * Takes over the graph that ONNX Runtime saved of an imported one. Inputs, outputs and constants keep their names. What is
 * computed of constants stands right before each node that reads it and has its layer, so that no cut parts them.
 */
export function adoptRuntimeGraph(imported: Graph, saved: Graph): Graph {
  const known = new Map(imported.tensors.map((tensor) => [tensor.name, tensor]));
  const tensors = saved.tensors.map((tensor) => storedOnce(tensor, known.get(tensor.name)));
  const indices = new Map(tensors.map(({ name }, index) => [name, index]));
  const find = (index: number) => {
    const { name } = tensorAt(imported, index);
    return present(indices.get(name), `tensor "${name}" of the graph that ONNX Runtime saved`);
  };
  const domains = new Set(['', ...saved.nodes.map(({ domain }) => domain)]);
  return compactGraph(
    constantsBeforeReaders({
      ...saved,
      name: imported.name,
      opsets: Object.fromEntries(Object.entries(saved.opsets).filter(([domain]) => domains.has(domain))),
      tensors,
      inputs: imported.inputs.map(find),
      outputs: imported.outputs.map(find),
    }),
  );
}

/** The constant as it was imported, if it is the same, so that its bytes aren't held twice. */
function storedOnce(tensor: Tensor, imported: Tensor | undefined): Tensor {
  const isSame =
    tensor.constant !== null &&
    imported !== undefined &&
    imported.constant !== null &&
    imported.dtype === tensor.dtype &&
    imported.shape?.join() === tensor.shape?.join();
  return isSame ? { ...tensor, constant: imported.constant } : tensor;
}

/** Moves the nodes that compute constants right before their readers. Each reader has nodes of its own. */
function constantsBeforeReaders(graph: Graph): Graph {
  const constant = constantTensors(graph);
  const isConstant = (node: Node) => tensorsWritten(node).every((index) => constant.has(index));
  const makers = new Map<number, Node>();
  for (const node of graph.nodes) {
    if (isConstant(node)) for (const index of tensorsWritten(node)) makers.set(index, node);
  }
  const list = new TensorList(graph);
  const made = new Set<number>();
  const nodes: Node[] = [];
  let layer = 0;
  const readerOf = (node: Node): Node => ({
    ...node,
    layer,
    inputs: node.inputs.map((index) => (makers.has(index) ? make(index) : index)),
  });
  /** Adds the node that makes a constant. @returns the constant's tensor, a new one if it was made before. */
  const make = (index: number): number => {
    const maker = readerOf(present(makers.get(index), 'node of a constant'));
    const outputs = maker.outputs.map((output) =>
      output >= 0 && made.has(output) ? list.add(elementAt(graph.tensors, output)) : output,
    );
    for (const output of maker.outputs) made.add(output);
    nodes.push({ ...maker, outputs });
    return elementAt(outputs, maker.outputs.indexOf(index));
  };
  for (const node of graph.nodes) {
    if (isConstant(node)) continue;
    nodes.push(readerOf(node));
    layer += 1;
  }
  return { ...graph, tensors: list.tensors, nodes };
}
