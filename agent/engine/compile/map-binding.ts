/** Binds inputs and outputs of sessions to the numbered maps that the executor holds between sessions. */

import type { Graph } from '../../../shared/graph/index.js';
import { tensorAt, valueFor } from '../../../shared/graph/index.js';
import type { MapBinding } from '../wire/protocol.js';

export interface NumberedMaps {
  readonly graph: Graph;
  /** Number of the map of each tensor that crosses a cut. */
  readonly mapOf: ReadonlyMap<number, number>;
}

export function bindMaps({ graph, mapOf }: NumberedMaps, tensors: readonly number[]): readonly MapBinding[] {
  return tensors.map((tensor) => ({ name: tensorAt(graph, tensor).name, map: valueFor(mapOf, tensor) }));
}
