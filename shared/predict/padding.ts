/** This file predicts how much larger maps are at the levels where convolutions run in blocked layout. */

import type { Graph } from '../graph/index.js';
import { tensorAt } from '../graph/index.js';
import type { Level } from './run-settings.js';
import { isBlocked } from './run-settings.js';

/** Channels in a block with AVX-512. It is 8 with AVX2, where less is padded. */
const BLOCK = 16;

/**
 * Returns the ratio of a map's bytes with padded channels to those without. At the blocked levels channels fill whole
 * blocks. It is 1 for other tensors.
 *
 * Not modelled: operators that run in plain order, before which maps are reordered. The copy counts as the padding.
 */
export function paddingRatio(graph: Graph, tensor: number, level: Level): number {
  const { dtype, shape } = tensorAt(graph, tensor);
  const channels = shape?.length === 4 ? shape[1] : undefined;
  if (!isBlocked(level) || dtype !== 'float32' || channels === undefined || channels < 1) return 1;
  return (Math.ceil(channels / BLOCK) * BLOCK) / channels;
}
