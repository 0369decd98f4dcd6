/** The sessions of a segment, and the account that predicts them. They are kept by graph and settings. */

import type { Graph } from '../graph/index.js';
import { memoByGraph, present } from '../graph/index.js';
import type { Segment } from '../tile/index.js';
import { flowOf } from '../tile/index.js';
import { Account } from './account.js';
import type { WorkAmounts } from './device-profile.js';
import { KernelCosts } from './kernel-costs.js';
import type { KernelSettings } from './run-settings.js';
import type { SessionSteps } from './session.js';
import { tiledSession, wholeSession } from './session.js';
import { StreamSessions, tileFlows } from './stream-sessions.js';

/** The account of a graph's sessions, and what makes its streams. */
export interface Predictor {
  readonly account: Account;
  readonly streams: StreamSessions;
}

const predictors = memoByGraph(() => new Map<string, Predictor>());

/** Returns the predictor of a graph. @param cost is in nanoseconds a unit of work. */
export function predictorOf(
  graph: Graph,
  { level, threads, allocator = 'glibc' }: KernelSettings,
  cost: WorkAmounts,
): Predictor {
  const key = JSON.stringify([level, threads, allocator, cost]);
  const known = predictors(graph).get(key) ?? makePredictor(graph, { level, threads, allocator }, cost);
  predictors(graph).set(key, known);
  return known;
}

function makePredictor(graph: Graph, settings: KernelSettings, cost: WorkAmounts): Predictor {
  const kernels = new KernelCosts(graph, { settings, cost });
  return { account: new Account(kernels, cost), streams: new StreamSessions(graph, kernels) };
}

/** Makes the sessions of a segment, each when it is asked for. There is one, or one for each link of a stream. */
export function* sessionsOf(
  graph: Graph,
  segment: Segment,
  { account: { kernels }, streams }: Predictor,
): Generator<SessionSteps> {
  switch (segment.kind) {
    case 'whole':
      yield wholeSession(graph, kernels, segment);
      break;
    case 'tiles':
      yield tiledSession(graph, kernels, { range: segment, space: segment.space, grid: segment });
      break;
    case 'stream':
      for (const link of segment.links) {
        const flow = present(flowOf(graph, link), 'flow of a stream');
        yield present(streams.lay([{ flow, tiles: 1 }], link.units), 'schedule of a stream');
      }
      break;
    case 'streamed-tiles': {
      const flow = present(flowOf(graph, segment), 'flow of streamed tiles');
      yield present(streams.lay(tileFlows(flow, segment), segment.units), 'schedule of streamed tiles');
    }
  }
}
