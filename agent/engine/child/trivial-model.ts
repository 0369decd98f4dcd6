import { GraphBuilder } from '../../../shared/graph/index.js';
import { writeOnnx } from '../../../shared/onnx/index.js';
import { BLOCKED_DOMAIN } from '../blocked/blocked-joins.js';

/** A model of one node, y = Relu(x), to start ONNX Runtime with. */
export function writeTrivialModel(): Uint8Array {
  const builder = new GraphBuilder();
  const x = builder.addInput('x', [1]);
  const y = builder.addNode(0, { op: 'Relu', inputs: [x] }, { dtype: 'float32', shape: [1] });
  return writeOnnx(builder.build('trivial', [y]));
}

/** A model that puts a map into the blocked order of this machine. */
export function writeReorderModel(shape: readonly number[]): Uint8Array {
  const builder = new GraphBuilder();
  const x = builder.addInput('x', shape);
  const y = builder.addNode(0, { op: 'ReorderInput', inputs: [x] }, { dtype: 'float32', shape });
  const graph = builder.build('reorder', [y]);
  const nodes = graph.nodes.map((node) => ({ ...node, domain: BLOCKED_DOMAIN }));
  return writeOnnx({ ...graph, nodes, opsets: { ...graph.opsets, [BLOCKED_DOMAIN]: 1 } });
}
