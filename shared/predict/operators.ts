/** This file says which operators ONNX Runtime computes together with others, or over their inputs. */

import type { Node } from '../graph/index.js';

/** Operators that ONNX Runtime computes with a convolution right before them. */
const FUSED_ACTIVATIONS = new Set(['Relu', 'LeakyRelu', 'Clip', 'Sigmoid', 'Tanh', 'HardSigmoid']);

/** Whether ONNX Runtime computes a node with a convolution, if one is right before it. */
export function isActivation({ op, domain }: Node): boolean {
  return domain === '' && FUSED_ACTIVATIONS.has(op);
}

/**
 * Operators that may write over their first or second input.
 * Source: onnxruntime/core/framework/allocation_planner.cc (kReuse from MayInplace, kAlias).
 */
const IN_PLACE_OPERATORS = new Set(
  `
  Relu LeakyRelu Clip Sigmoid HardSigmoid HardSwish Tanh Softplus Elu Selu Abs Neg Exp Log Sqrt Floor
  Ceil Reciprocal Add Sub Mul Div Reshape Flatten Squeeze Unsqueeze Identity Dropout Softsign Gelu`
    .trim()
    .split(/\s+/),
);

/** Whether ONNX Runtime lets an operator write over its input. */
export function runsInPlace({ op, domain }: Node): boolean {
  return domain === '' && IN_PLACE_OPERATORS.has(op);
}
