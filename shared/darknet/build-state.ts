/** What building a Darknet network keeps from layer to layer. */

import type { Feature, GraphBuilder } from '../graph/index.js';
import type { DarknetSection } from './darknet-config.js';
import { badOption } from './darknet-config.js';
import type { WeightSource } from './darknet-weights.js';
import type { DetectionHead } from './heads.js';

export interface BuildState {
  readonly builder: GraphBuilder;
  readonly weights: WeightSource;
  readonly net: { readonly width: number; readonly height: number };
  /** Output of every layer so far. */
  readonly features: Feature[];
  readonly heads: DetectionHead[];
  readonly outputs: number[];
}

export type BuildLayer = (state: BuildState, section: DarknetSection, input: Feature) => Feature;

/** Layers are counted from the start, or backwards from this one if negative. */
export function featureAt(
  state: BuildState,
  section: DarknetSection,
  { key, at }: { key: string; at: number },
): Feature {
  const feature = state.features[at < 0 ? section.layer + at : at];
  if (feature === undefined) throw badOption(section, key, `layers before ${section.layer}`);
  return feature;
}
