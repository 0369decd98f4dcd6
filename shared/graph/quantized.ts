/**
 * The operators of quantised networks: which of their inputs are maps, weights and zero points. ONNX has QuantizeLinear,
 * DequantizeLinear, QLinearConv and ConvInteger; ONNX Runtime adds others in its own domain, into which it also
 * fuses operators between DequantizeLinear and QuantizeLinear.
 * Source: onnx/docs/Operators.md; onnxruntime/docs/ContribOperators.md.
 */
import { constantNumbers } from './constant-values.js';
import type { Graph, Node } from './graph.js';
import { inputAt } from './graph.js';

/** Domain of ONNX Runtime's own operators. */
export const MICROSOFT_DOMAIN = 'com.microsoft';

/** The places of a quantised operator's inputs. */
export interface QuantizedForm {
  readonly kind: 'pointwise' | 'elementwise' | 'concat' | 'convolution' | 'pool';
  /** Maps, from the first on in even steps. */
  readonly maps: { readonly first: number; readonly step?: number; readonly count?: number };
  readonly weights?: number;
  /** Zero point of the first map, which its padding consists of. */
  readonly zeroPoint?: number;
}

const ONE_MAP = { first: 0, count: 1 } as const;

const STANDARD: ReadonlyMap<string, QuantizedForm> = new Map(
  Object.entries<QuantizedForm>({
    QuantizeLinear: { kind: 'pointwise', maps: ONE_MAP },
    DequantizeLinear: { kind: 'pointwise', maps: ONE_MAP },
    QLinearConv: { kind: 'convolution', maps: ONE_MAP, weights: 3, zeroPoint: 2 },
    ConvInteger: { kind: 'convolution', maps: ONE_MAP, weights: 1, zeroPoint: 2 },
  }),
);

const MICROSOFT: ReadonlyMap<string, QuantizedForm> = new Map(
  Object.entries<QuantizedForm>({
    QuantizeLinear: { kind: 'pointwise', maps: ONE_MAP },
    DequantizeLinear: { kind: 'pointwise', maps: ONE_MAP },
    QLinearSigmoid: { kind: 'pointwise', maps: ONE_MAP },
    QLinearLeakyRelu: { kind: 'pointwise', maps: ONE_MAP },
    QLinearAdd: { kind: 'elementwise', maps: { first: 0, step: 3, count: 2 } },
    QLinearMul: { kind: 'elementwise', maps: { first: 0, step: 3, count: 2 } },
    QLinearConcat: { kind: 'concat', maps: { first: 2, step: 3 } },
    QLinearAveragePool: { kind: 'pool', maps: ONE_MAP, zeroPoint: 2 },
  }),
);

/** Form of a quantised operator. @returns undefined for all others. */
export function quantizedForm({ op, domain }: Node): QuantizedForm | undefined {
  if (domain === '') return STANDARD.get(op);
  return domain === MICROSOFT_DOMAIN ? MICROSOFT.get(op) : undefined;
}

/** Whether an input of a quantised operator is a map. */
export function isMapInput({ maps }: QuantizedForm, at: number): boolean {
  const { first, step = 1, count = Number.POSITIVE_INFINITY } = maps;
  const place = (at - first) / step;
  return Number.isInteger(place) && place >= 0 && place < count;
}

/** Whether a node is a convolution, whatever its numbers are. */
export function isConvolution(node: Node): boolean {
  return (node.op === 'Conv' && node.domain === '') || quantizedForm(node)?.kind === 'convolution';
}

/** Tensor of the weights of a convolution or a matrix product, which are the second input of all but QLinearConv. */
export function weightsInput(node: Node): number {
  return inputAt(node, quantizedForm(node)?.weights ?? 1);
}

/** Value that stands for zero in the first map of an operator. @returns undefined if it is computed. */
export function zeroPointOf(graph: Graph, node: Node): number | undefined {
  const at = quantizedForm(node)?.zeroPoint;
  const tensor = at === undefined ? -1 : inputAt(node, at);
  return tensor < 0 ? 0 : constantNumbers(graph, tensor)?.[0];
}

const QUANTIZERS = new Set(['QuantizeLinear', 'DynamicQuantizeLinear']);

/** Whether an operator rounds floats to steps, so that the least difference can become that of a whole step. */
export function isQuantizer({ op, domain }: Node): boolean {
  return (domain === '' || domain === MICROSOFT_DOMAIN) && QUANTIZERS.has(op);
}
