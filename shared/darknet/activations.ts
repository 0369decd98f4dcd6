/** Activations of Darknet layers as nodes of the graph. */
import type { Feature, NodeSpec } from '../graph/index.js';
import type { BuildState } from './build-state.js';
import type { DarknetSection } from './darknet-config.js';
import { badOption } from './darknet-config.js';

type Activate = (state: BuildState, layer: number, feature: Feature) => Feature;

function unary(op: string, attributes: NodeSpec['attributes'] = {}): Activate {
  return ({ builder }, layer, feature) =>
    builder.addMap(layer, { op, inputs: [feature.tensor], attributes, floats: ['alpha'] }, feature);
}

const ACTIVATIONS: ReadonlyMap<string, Activate> = new Map(
  Object.entries<Activate>({
    linear: (_state, _layer, feature) => feature,
    leaky: unary('LeakyRelu', { alpha: 0.1 }),
    relu: unary('Relu'),
    logistic: unary('Sigmoid'),
    relu6: ({ builder }, layer, feature) => {
      const bound = (value: number) =>
        builder.addConstant(`${layer}/clip${value}`, Float32Array.of(value), []);
      return builder.addMap(layer, { op: 'Clip', inputs: [feature.tensor, bound(0), bound(6)] }, feature);
    },
    /** x * tanh(softplus(x)) */
    mish: ({ builder }, layer, feature) => {
      const soft = builder.addMap(layer, { op: 'Softplus', inputs: [feature.tensor] }, feature);
      const gate = builder.addMap(layer, { op: 'Tanh', inputs: [soft.tensor] }, feature);
      return builder.addMap(layer, { op: 'Mul', inputs: [feature.tensor, gate.tensor] }, feature);
    },
    /** x * sigmoid(x) */
    swish: ({ builder }, layer, feature) => {
      const gate = builder.addMap(layer, { op: 'Sigmoid', inputs: [feature.tensor] }, feature);
      return builder.addMap(layer, { op: 'Mul', inputs: [feature.tensor, gate.tensor] }, feature);
    },
  }),
);

interface Activation {
  readonly feature: Feature;
  /** Activation that Darknet uses if the key is absent. */
  readonly fallback: string;
}

/** Applies the section's `activation`. @throws {SyntaxError} if it is unknown. */
export function activate(
  state: BuildState,
  section: DarknetSection,
  { feature, fallback }: Activation,
): Feature {
  const build = ACTIVATIONS.get(section.entries.get('activation')?.value ?? fallback);
  if (build === undefined)
    throw badOption(section, 'activation', `one of ${[...ACTIVATIONS.keys()].join(', ')}`);
  return build(state, section.layer, feature);
}
