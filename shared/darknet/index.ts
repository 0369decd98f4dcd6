/** Converts Darknet configurations and weights to graphs. */
export type { DarknetNetwork } from './build-darknet.js';
export { buildDarknet } from './build-darknet.js';
export type { DarknetSection } from './darknet-config.js';
export { parseDarknetConfig } from './darknet-config.js';
export type { ConvolutionShape, ConvolutionWeights, WeightSource } from './darknet-weights.js';
export { DarknetWeightsFile } from './darknet-weights.js';
export type { DetectionHead } from './heads.js';
export { mulberry32, SyntheticWeights } from './synthetic-weights.js';
