import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { frontLabels } from '../../shared/search/front-labels.js';
import { optionContext } from '../../shared/search/range-option.js';
import { RangeTable } from '../../shared/search/range-table.js';
import { Work, workFor } from '../../shared/search/work.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

const SETTINGS = { threads: 1, level: 'extended' } as const;
const RULE = { sessionBytes: 1, countsWeights: true };

test('Work gives each part of a search its share, and what earlier parts have left', () => {
  const work = new Work(300);
  work.begin('options', 0.5);
  assert.deepEqual([work.spend(50), work.spend(1), work.isShort], [true, false, true]);
  work.begin('ways', 1);
  assert.deepEqual([work.spend(150), work.spend(1)], [true, false]);
  work.begin('labels', 1);
  assert.equal(work.spend(100), true);
  assert.equal(work.spent, 300);
});

test('a search never spends more than its work, on random graphs and limits', () => {
  const property = fc.property(
    randomGraph({ maxSize: 96, maxWords: 60 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    ({ notation }, part) => {
      const graph = graphOf(notation);
      const limit = part ** 4 * workFor(graph.nodes.length);
      const work = new Work(limit);
      const context = optionContext(graph, SETTINGS);
      const table = new RangeTable(context, { mostBytes: Number.POSITIVE_INFINITY, work });
      frontLabels(table, RULE, work);
      assert.ok(work.spent <= limit);
    },
  );
  fc.assert(property, { numRuns: 40 });
});

test('the work of a search grows with the network at most linearly', () => {
  assert.equal(workFor(400), 2 * workFor(200));
});
