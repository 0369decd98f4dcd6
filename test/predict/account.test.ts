/** This file compares the account of sessions with an oracle that is built on the graphs which are really run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Graph } from '../../shared/graph/index.js';
import { BUILT_IN_PROFILE, costsFor } from '../../shared/predict/index.js';
import { predictorOf, sessionsOf } from '../../shared/predict/sessions.js';
import type { Mode } from '../../shared/tile/index.js';
import { parseMode, planRange } from '../../shared/tile/index.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';
import { oracleNeeds } from './oracle.js';

const SETTINGS = { threads: 2, level: 'extended', allocator: 'glibc' } as const;
const MODES = [
  ...['whole', '1x2', '2x2', '3x1', '3x5', 'stream1', 'stream2', 'stream3', 'stream8'],
  ...['1x2:stream1', '2x3:stream4'],
].map(parseMode);

test('Account gives what the oracle gives in all modes, on random graphs and ranges', () => {
  const part = fc.double({ min: 0, max: 0.999, noNaN: true });
  const property = fc.property(
    randomGraph({ maxSize: 96, maxWords: 12 }),
    part,
    part,
    fc.constantFrom(...MODES),
    ({ notation }, start, length, mode) => {
      const graph = graphOf(notation);
      const from = Math.floor(start * graph.nodes.length);
      const to = from + 1 + Math.floor(length * (graph.nodes.length - from));
      assertAlike(graph, { from, to, mode });
    },
  );
  fc.assert(property, { numRuns: 1500 });
});

test('Account gives what the oracle gives where branches wait and gates have no space', () => {
  for (const notation of [
    '3x96x96: c16k3p1 l m2s2 c16k5p2 +3 c32k3s2p1 u2 &3 c8k3p1',
    '3x96x80: c16k3p1 l c16k3p1 e c16k3p1 r m2s2 c8k1 t',
  ]) {
    const graph = graphOf(notation);
    for (const mode of MODES) assertAlike(graph, { from: 0, to: graph.nodes.length, mode });
  }
});

function assertAlike(
  graph: Graph,
  { from, to, mode }: { readonly from: number; readonly to: number; readonly mode: Mode },
): void {
  const predictor = predictorOf(graph, SETTINGS, costsFor(BUILT_IN_PROFILE, SETTINGS));
  for (const segment of planRange(graph, { from, to }, mode)) {
    const expected = oracleNeeds(graph, segment, SETTINGS);
    const found = [...sessionsOf(graph, segment, predictor)].map((session) => predictor.account.of(session));
    assert.equal(found.length, expected.length);
    for (const [at, { latencyMs, macs, ...bytes }] of found.entries()) {
      const { latencyMs: ms, macs: count, ...others } = expected[at] ?? assert.fail('a session is missing');
      assert.deepEqual(bytes, others, `${segment.kind} [${from}, ${to})`);
      assert.ok(Math.abs(latencyMs - ms) <= 1e-9 * ms);
      assert.ok(Math.abs(macs - count) <= 1e-9 * count);
    }
  }
}
