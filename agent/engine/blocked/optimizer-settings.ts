/**
 * Settings, in addition to the level, that the content of an optimised model depends on. The agent reads
 * them, too, so that this file must not load ONNX Runtime.
 */

/**
 * Pass that fuses zero padding into MaxPool, which changes results: MaxPool pads with -infinity.
 * `normalize.ts` does it for Conv.
 */
export const DISABLED_OPTIMIZERS = 'Pad_Fusion';

/**
 * Optimisers of operators on bytes. They have seen a network when it was imported (agent/models/runtime-graph.ts). A
 * second time they would find pairs that they made themselves, and leave roundings out.
 */
const BYTE_OPTIMIZERS = [
  ...['DoubleQDQPairsRemover', 'QDQPropagationTransformer', 'WeightBiasQuantization'],
  ...['ClipQuantRewrite', 'ReluQuantRewrite', 'QDQS8ToU8Transformer', 'QDQSelectorActionTransformer'],
  ...['QDQFinalCleanupTransformer', 'EnsureUniqueDQForNodeUnit'],
];

/** Optimisers that sessions of segments do without. */
export const DISABLED_IN_SEGMENTS = [DISABLED_OPTIMIZERS, ...BYTE_OPTIMIZERS].join(';');

/**
 * Fusions that wait until a network has been cut: those of floats, which no cut may part from an earlier session. Only
 * operators on bytes are fused before (agent/models/runtime-graph.ts).
 */
export const DISABLED_BEFORE_CUTTING = [
  DISABLED_OPTIMIZERS,
  ...['ConvActivationFusion', 'ConvAddActivationFusion', 'GemmActivationFusion', 'MatMulActivationFusion'],
  ...['GeluFusion', 'GeluFusionL1', 'GeluFusionL2', 'QuickGeluFusion', 'FastGeluFusion', 'BiasGeluFusion'],
  ...['LayerNormFusion', 'LayerNormFusionL1', 'LayerNormFusionL2', 'SimplifiedLayerNormFusion'],
  ...['SkipLayerNormFusion', 'EmbedLayerNormFusion', 'AttentionFusion', 'BiasSoftmaxFusion'],
  ...['MatmulTransposeFusion', 'MatMulScaleFusion'],
].join(';');

/**
 * Size of the smallest weights that are mapped. Smaller ones stay in the model file, since each mapping costs
 * a page.
 */
export const MIN_MAPPED_BYTES = 4096;
