/** ONNX files to graphs and back. The only room that loads protobuf. */
export { parseOnnx } from './parse-onnx.js';
export { writeOnnx } from './write-onnx.js';
