/** What shapes a model that ONNX Runtime has optimised, beside the level. Free of ONNX Runtime itself: the agent reads it, too. */

/** Fuses zero padding into MaxPool, which pads with -infinity: another result. `normalize.ts` does it for Conv. */
export const DISABLED_OPTIMIZERS = 'Pad_Fusion';

/** Smaller weights stay in the model file: a mapping of its own costs ONNX Runtime a page each. */
export const MIN_MAPPED_BYTES = 4096;

/** Files of an optimised model, in a folder of its own. */
export const OPTIMIZED_MODEL = 'model.onnx';
export const OPTIMIZED_DATA = 'model.onnx.data';
