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
 * Size of the smallest weights that are mapped. Smaller ones stay in the model file, since each mapping costs
 * a page.
 */
export const MIN_MAPPED_BYTES = 4096;

/** Files of an optimised model within its own folder. */
export const OPTIMIZED_MODEL = 'model.onnx';
export const OPTIMIZED_DATA = 'model.onnx.data';
