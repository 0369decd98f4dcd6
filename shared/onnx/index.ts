/** Converts ONNX files to graphs and back. No other room loads protobuf. */
export type { OnnxMetadata } from './parse-onnx.js';
export { parseOnnx, parseOnnxModel } from './parse-onnx.js';
export { upgradeOpset } from './upgrade-opset.js';
export { writeOnnx } from './write-onnx.js';
