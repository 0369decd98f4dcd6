import type { Graph } from '../../../shared/graph/index.js';
import { tensorAt } from '../../../shared/graph/index.js';
import type { MapBinding } from '../wire/protocol.js';

/** A graph whose tensors between sessions have numbers: their maps'. */
export interface NumberedMaps {
  readonly graph: Graph;
  readonly mapOf: ReadonlyMap<number, number>;
}

export function bindMaps({ graph, mapOf }: NumberedMaps, tensors: readonly number[]): readonly MapBinding[] {
  return tensors.map((tensor) => ({ name: tensorAt(graph, tensor).name, map: mapOf.get(tensor) ?? -1 }));
}
