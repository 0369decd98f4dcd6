import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KNOBS } from '../../shared/search/knobs.js';
import { searchCuts } from '../../shared/search/search-cuts.js';
import { graphOf } from '../notation.js';

/** A network of 60 convolutions on large maps, then as many on small ones. */
const LONG = `3x64x64: ${'c8k3p1 '.repeat(60)}m4s4 ${'c8k3p1 '.repeat(60)}`.trim();

test('searchCuts() keeps all cuts of a small graph', () => {
  const graph = graphOf('3x64x64: c8k3p1 c8k3p1 m2s2 c8k3p1');
  assert.deepEqual(searchCuts(graph, KNOBS), [0, 1, 2, 3, 4]);
});

test('searchCuts() leaves out cuts until the ranges have few enough nodes, most of them between small maps', () => {
  const graph = graphOf(LONG);
  const countNodes = (cuts: readonly number[]) =>
    cuts
      .flatMap((from) => cuts.map((to) => to - from))
      .filter((nodes) => nodes > 0 && nodes <= KNOBS.maxNodes)
      .reduce((sum, nodes) => sum + nodes, 0);
  const all = searchCuts(graph, { ...KNOBS, rangeNodes: Number.POSITIVE_INFINITY });
  assert.ok(countNodes(all) > KNOBS.rangeNodes);
  const cuts = searchCuts(graph, KNOBS);
  assert.ok(countNodes(cuts) <= KNOBS.rangeNodes);
  assert.deepEqual([cuts[0], cuts.at(-1)], [0, graph.nodes.length]);
  const among = (from: number, to: number) => cuts.filter((cut) => cut > from && cut < to).length;
  assert.ok(among(0, 60) > 2 * among(61, 121), `${among(0, 60)} and ${among(61, 121)}`);
  // The cut before the pooling is crossed by as many bytes as others, the one after it by a sixteenth.
  assert.ok(cuts.includes(61));
});
