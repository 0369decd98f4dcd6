/** Networks as immutable graphs: shapes, locality of operators, and passes that keep the result. Depends on nothing. */
export type { AxisRule, Window } from './axis-rule.js';
export { windowRowsOut } from './axis-rule.js';
export { constantTensors, isConstantExpression } from './constant-expressions.js';
export { constantNumbers, float32Values, inlineConstant, scaleValues } from './constant-values.js';
export { compactGraph, countReads, producers, TensorList } from './edit-graph.js';
export type { ExternalData } from './externalize.js';
export { externalizeConstants } from './externalize.js';
export { foldChannelAffine } from './fold-channel-affine.js';
export type { TensorValue } from './fold-constants.js';
export { applyFolded, foldShapes, selectFoldable } from './fold-constants.js';
export type { Attribute, Constant, DataType, Graph, Node, Tensor } from './graph.js';
export {
  BYTES_PER_ELEMENT,
  elementCount,
  floatAttribute,
  inputAt,
  intAttribute,
  intsAttribute,
  knownShape,
  tensorAt,
  tensorBytes,
  tensorsRead,
  tensorsWritten,
} from './graph.js';
export type { Feature, NodeSpec } from './graph-builder.js';
export { GraphBuilder } from './graph-builder.js';
export { halfToNumber, numberToHalf } from './half-floats.js';
export type { SpatialRule } from './locality.js';
export { localityOf } from './locality.js';
export { elementAt, present, valueFor } from './lookup.js';
export { memoByGraph, memoByNode } from './memo.js';
export { moveChannels } from './move-channels.js';
export { dropCeilModes, foldPads, makeGeometryExplicit, removeIdentities } from './normalize.js';
export {
  isConvolution,
  isQuantizer,
  MICROSOFT_DOMAIN,
  quantizedForm,
  weightsInput,
  zeroPointOf,
} from './quantized.js';
export { adoptRuntimeGraph, isComputedOtherwise } from './runtime-graph.js';
export type { Boundary, NodeRange } from './segment-graph.js';
export { boundaryOf, extractSegment, lastReadsOf } from './segment-graph.js';
export { takeBatchOne } from './take-batch-one.js';
export { totalStride } from './total-stride.js';
export { moveVaryingLast, varyingFrom, varyingTensors } from './varying-shapes.js';
