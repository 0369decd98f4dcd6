/**
 * The law of exactness allows differences of rounding. Before a quantiser it can't: there the least difference may become
 * one of a whole step. So what feeds a quantiser must equal the untiled run bit for bit.
 */
import type { Graph, NodeRange } from '../graph/index.js';
import { isQuantizer, memoByGraph, tensorsRead, tensorsWritten } from '../graph/index.js';
import type { Mode } from '../tile/index.js';
import { isBitExact } from './bit-exact.js';
import type { KernelSettings } from './run-settings.js';
import { isBlocked } from './run-settings.js';
import type { SessionSteps, StepKind } from './session.js';
import { shapesIn } from './session.js';

/** Positions of the nodes whose results go to a quantiser, directly or through other nodes. */
const feeders = memoByGraph((graph): ReadonlySet<number> => {
  const feeding = new Set<number>();
  const found = new Set<number>();
  for (let at = graph.nodes.length - 1; at >= 0; at -= 1) {
    const node = graph.nodes[at];
    if (node === undefined) continue;
    const feeds = tensorsWritten(node).some((index) => feeding.has(index));
    if (feeds) found.add(at);
    if (feeds || isQuantizer(node)) for (const index of tensorsRead(node)) feeding.add(index);
  }
  return found;
});

/** Whether some node of a range feeds a quantiser. */
export function feedsQuantizer(graph: Graph, { from, to }: NodeRange): boolean {
  const found = feeders(graph);
  if (found.size === 0) return false;
  for (let at = from; at < to; at += 1) if (found.has(at)) return true;
  return false;
}

/** A session whose steps are judged as they are asked for, since their sizes are valid until the next one is. */
export interface JudgedSession {
  readonly session: SessionSteps;
  /** Whether all steps so far equal the untiled run bit for bit. */
  readonly isBitExact: () => boolean;
}

export function judgeSession(
  graph: Graph,
  session: SessionSteps,
  { level, threads, mode }: KernelSettings & { readonly mode: Mode['kind'] },
): JudgedSession {
  let exact = true;
  const streamed = mode === 'stream' || mode === 'streamed-tiles';
  const rounding = { threads, streamed, blocked: isBlocked(level) };
  const steps = function* (): Generator<StepKind> {
    for (const step of session.steps) {
      const shapes = mode === 'whole' ? 'whole' : [shapesIn(graph, step.sizes)];
      exact &&= isBitExact(graph, session.range, { ...rounding, steps: shapes });
      yield step;
    }
  };
  return { session: { ...session, steps: steps() }, isBitExact: () => exact };
}
