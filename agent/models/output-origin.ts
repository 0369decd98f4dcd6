/** What operators an output comes from, as far as decoders want to know it. */
import type { Graph, Node } from '../../shared/graph/index.js';
import { elementAt, isConvolution, producers } from '../../shared/graph/index.js';
import type { NetworkFacts, OutputEnd } from '../decode/box-decoder.js';

/** Operators that change no value, or only how it is held. */
const SHAPE_ONLY = new Set([
  ...['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Cast', 'Transpose'],
  ...['QuantizeLinear', 'DequantizeLinear'],
]);

export function originsOf(graph: Graph): Pick<NetworkFacts, 'endsOf' | 'isActivated' | 'isDirect'> {
  const endsOf = (name: string): readonly OutputEnd[] => {
    const output = graph.tensors.findIndex((tensor) => tensor.name === name);
    return makersOf(graph, output).map(endOf);
  };
  return {
    endsOf,
    isActivated: (name) => endsOf(name).some((end) => end === 'softmax' || end === 'sigmoid'),
    isDirect: (name) => endsOf(name).every((end) => end === 'convolution'),
  };
}

/** Operators that end a network, by what they are to decoders. */
const ENDS: ReadonlyMap<string, OutputEnd> = new Map([
  ['Sigmoid', 'sigmoid'],
  ['Softmax', 'softmax'],
  ['ArgMax', 'argmax'],
]);

function endOf(node: Node | undefined): OutputEnd {
  if (node === undefined) return 'other';
  return isConvolution(node) ? 'convolution' : (ENDS.get(node.op) ?? 'other');
}

/** The operators that compute an output's values, which others only put in order. An input or a constant has none. */
function makersOf(graph: Graph, output: number): readonly (Node | undefined)[] {
  const positions = producers(graph);
  const makers: (Node | undefined)[] = [];
  // A tensor that several parts share is looked at once.
  const seen = new Set<number>();
  const visit = (tensor: number): void => {
    if (seen.has(tensor)) return;
    seen.add(tensor);
    const node = graph.nodes[elementAt(positions, tensor)];
    if (node?.op === 'Concat') node.inputs.forEach(visit);
    else if (node !== undefined && SHAPE_ONLY.has(node.op)) visit(elementAt(node.inputs, 0));
    else makers.push(node);
  };
  visit(output);
  return makers;
}
