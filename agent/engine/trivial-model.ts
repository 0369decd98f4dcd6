import { GraphBuilder, writeOnnx } from '../../shared/index.js';

/** A model of one node, y = Relu(x), to start ONNX Runtime with. */
export function writeTrivialModel(): Uint8Array {
  const builder = new GraphBuilder();
  const x = builder.addInput('x', [1]);
  const y = builder.addNode(0, { op: 'Relu', inputs: [x] }, { dtype: 'float32', shape: [1] });
  return writeOnnx(builder.build('trivial', [y]));
}
