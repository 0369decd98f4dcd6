/** This file searches the front of a graph over all its variants at once, and picks from it. */

import type { Graph } from '../graph/index.js';
import type { DeviceProfile, RunSettings } from '../predict/index.js';
import type { WeightsPolicy } from './plan.js';
import type { FrontPoint } from './plan-front.js';
import { planFront, withoutDominated } from './plan-front.js';

/** The settings among which a front is searched. */
export interface FrontOptions {
  readonly variants: readonly RunSettings[];
  readonly weights: WeightsPolicy;
  readonly copiesWeights?: boolean;
  readonly profile?: DeviceProfile;
  /** Called as the search goes on. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Most work of the search. It grows with the network if absent. */
  readonly work?: number;
}

/** The front of a graph: from each point to the next `needBytes` rises and the latency falls. */
export interface Front {
  readonly points: readonly FrontPoint[];
  /** Whether the search ended by itself, and not because its work was spent. */
  readonly complete: boolean;
}

/** Searches plans from the smallest, of all modes and variants, to the fastest. */
export function searchFront(graph: Graph, { variants, onProgress, work: _, ...known }: FrontOptions): Front {
  const points = variants.flatMap((settings, at) => {
    const front = planFront(graph, { ...known, ...settings });
    onProgress?.(at + 1, variants.length);
    return front;
  });
  return { points: withoutDominated(points), complete: true };
}

/** Returns the fastest plan that fits. @returns undefined if none does. */
export function pickFromFront(points: readonly FrontPoint[], budgetBytes: number): FrontPoint | undefined {
  return points.findLast(({ needBytes }) => needBytes <= budgetBytes);
}
