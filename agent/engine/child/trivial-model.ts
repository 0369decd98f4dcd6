/**
 * A model of one node, y = Relu(x) with x and y of float32 [1], to start ONNX Runtime with.
 *
 * Its bytes stand here, since writing them would load protobuf, which costs the executor megabytes.
 * A test compares them with what `writeOnnx` writes.
 */
export const TRIVIAL_MODEL: Uint8Array = Buffer.from(
  'CAgSBW1hZmF0Ok8KHwoBeBIKMC9SZWx1Om91dBoGMC9SZWx1IgRSZWx1OgASB3RyaXZpYWxaDwoBeBIKCggIARIECgIIAWISCgowL1Jl' +
    'bHU6b3V0EgQKAggBQgQKABASchEKDG1hZmF0LmxheWVycxIBMA==',
  'base64',
);
