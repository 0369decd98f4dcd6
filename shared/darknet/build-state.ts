/** State that building a Darknet network carries from layer to layer. */

import type { Feature, GraphBuilder } from '../graph/index.js';
import type { DarknetSection } from './darknet-config.js';
import { badOption } from './darknet-config.js';
import type { WeightSource } from './darknet-weights.js';
import type { DetectionHead } from './heads.js';

export interface BuildState {
  readonly builder: GraphBuilder;
  readonly weights: WeightSource;
  readonly net: { readonly width: number; readonly height: number };
  /** Outputs of the layers before. */
  readonly features: Feature[];
  readonly heads: DetectionHead[];
  readonly outputs: number[];
}

/** Adds a layer's nodes to the graph and returns its output. */
export type BuildLayer = (state: BuildState, section: DarknetSection, input: Feature) => Feature;

/**
 * Output of an earlier layer. `at` counts from the first layer, or backwards from this one if it is negative.
 *
 * @throws {SyntaxError} naming the key, if there is no such layer.
 */
export function featureAt(
  state: BuildState,
  section: DarknetSection,
  { key, at }: { key: string; at: number },
): Feature {
  const feature = state.features[at < 0 ? section.layer + at : at];
  if (feature === undefined) throw badOption(section, key, `layers before ${section.layer}`);
  return feature;
}
