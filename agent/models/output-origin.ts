/** What operators an output comes from, as far as decoders want to know it. */
import type { Graph, Node } from '../../shared/graph/index.js';
import { elementAt, isConvolution, producers, tensorAt } from '../../shared/graph/index.js';
import type { NetworkFacts, OutputEnd } from '../decode/box-decoder.js';

/** Operators that change no value, or only how it is held. */
const SHAPE_ONLY = new Set([
  ...['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Cast', 'Transpose'],
  ...['QuantizeLinear', 'DequantizeLinear'],
]);

export function originsOf(
  graph: Graph,
): Pick<NetworkFacts, 'endsOf' | 'isActivated' | 'isDirect' | 'trailOf'> {
  const indexOf = (name: string) => graph.tensors.findIndex((tensor) => tensor.name === name);
  const endsOf = (name: string) => makersOf(graph, indexOf(name)).map(endOf);
  return {
    endsOf,
    trailOf: (name) => trailOf(graph, indexOf(name)),
    isActivated: (name) => endsOf(name).some((end) => end === 'softmax' || end === 'sigmoid'),
    isDirect: (name) => endsOf(name).every((end) => end === 'convolution'),
  };
}

/** Most operators of a trail: what tells one head from another. */
const MAX_TRAIL = 16;

/** The operators on the way back from an output, as far as each computes one map from one other and from constants. */
function trailOf(graph: Graph, output: number): readonly string[] {
  const positions = producers(graph);
  const trail: string[] = [];
  let tensor: number | undefined = output;
  while (tensor !== undefined && trail.length < MAX_TRAIL) {
    const node: Node | undefined = graph.nodes[elementAt(positions, tensor)];
    if (node === undefined) break;
    if (!SHAPE_ONLY.has(node.op)) trail.push(node.op);
    const [map, ...others]: readonly number[] = node.inputs.filter(
      (input) => input >= 0 && tensorAt(graph, input).constant === null,
    );
    tensor = others.length === 0 ? map : undefined;
  }
  return trail;
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
