/** Converts ONNX files to graphs and back. No other room loads protobuf. */
export { parseOnnx } from './parse-onnx.js';
export { upgradeOpset } from './upgrade-opset.js';
export { writeOnnx } from './write-onnx.js';
