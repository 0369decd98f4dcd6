/**
 * This file says which ranges interpolate otherwise than the untiled network does.
 *
 * In blocked order (NCHWc) ONNX Runtime has a kernel of its own for linear Resize, which rounds otherwise. It takes that
 * kernel if a blocked operator right before gives the map. In a stream rows are joined in between, and after a cut
 * there is no operator before. Some networks amplify the difference to 1e-2, so such ranges aren't planned.
 */

import type { Graph, Node, NodeRange } from '../graph/index.js';
import { elementAt, producers } from '../graph/index.js';
import type { Mode } from '../tile/index.js';
import type { Level } from './run-settings.js';
import { isBlocked } from './run-settings.js';

/** Whether a node interpolates linearly. */
export function interpolates({ op, domain, attributes }: Node): boolean {
  if (domain !== '' || (op !== 'Resize' && op !== 'Upsample')) return false;
  const { mode } = attributes;
  return mode?.kind === 'string' && mode.value === 'linear';
}

/** Whether a range of nodes, run in a mode at a level, interpolates otherwise than the untiled network. */
export function interpolatesOtherwise(
  graph: Graph,
  { from, to }: NodeRange,
  { mode, level }: { readonly mode: Mode['kind']; readonly level: Level },
): boolean {
  if (!isBlocked(level)) return false;
  const interpolating = graph.nodes.slice(from, to).filter(interpolates);
  if (interpolating.length === 0) return false;
  if (mode === 'stream' || mode === 'streamed-tiles') return true;
  const makers = producers(graph);
  return interpolating.some(({ inputs }) => {
    const maker = elementAt(makers, elementAt(inputs, 0));
    return maker >= 0 && maker < from;
  });
}
