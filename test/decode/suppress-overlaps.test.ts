import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Box, Candidate } from '../../agent/decode/detection.js';
import { intersectionOverUnion } from '../../agent/decode/detection.js';
import { suppressOverlaps } from '../../agent/decode/suppress-overlaps.js';

test('intersectionOverUnion() is 1 for the same box, 0 for boxes that only touch', () => {
  assert.equal(intersectionOverUnion(box(0, 0, 2, 2), box(0, 0, 2, 2)), 1);
  assert.equal(intersectionOverUnion(box(0, 0, 2, 2), box(2, 0, 2, 2)), 0);
  assert.equal(intersectionOverUnion(box(0, 0, 2, 2), box(1, 0, 2, 2)), 1 / 3);
  assert.equal(intersectionOverUnion(box(0, 0, 4, 4), box(1, 1, 2, 2)), 1 / 4);
  assert.equal(intersectionOverUnion(box(0, 0, 0, 0), box(0, 0, 0, 0)), 0);
});

test('suppressOverlaps() keeps the most confident of boxes that overlap', () => {
  const best = candidate(box(0, 0, 4, 4), 0.9);
  const other = candidate(box(9, 9, 4, 4), 0.3);
  const worse = candidate(box(1, 0, 4, 4), 0.8);
  assert.deepEqual(suppressOverlaps([other, worse, best], 0.5), [best, other]);
});

test('suppressOverlaps() keeps boxes of different classes', () => {
  const first = candidate(box(0, 0, 4, 4), 0.9, 0);
  const second = candidate(box(0, 0, 4, 4), 0.8, 1);
  assert.deepEqual(suppressOverlaps([second, first], 0.5), [first, second]);
});

test('suppressOverlaps() keeps boxes that overlap by exactly the limit', () => {
  const both = [candidate(box(0, 0, 2, 2), 0.9), candidate(box(1, 0, 2, 2), 0.8)];
  assert.equal(suppressOverlaps(both, 1 / 3).length, 2);
  assert.equal(suppressOverlaps(both, 0.333).length, 1);
});

test('suppressOverlaps() lets a box that fell suppress nothing', () => {
  const chain = [0, 1, 2].map((x) => candidate(box(x, 0, 2, 2), 0.9 - x / 10));
  assert.deepEqual(suppressOverlaps(chain, 0.2), [chain[0], chain[2]]);
});

test('suppressOverlaps() considers the 1000 most confident of a class', () => {
  const many = Array.from({ length: 1001 }, (_, at) => candidate(box(at * 3, 0, 2, 2), at / 2000));
  const kept = suppressOverlaps(many, 0.5);
  assert.deepEqual([kept.length, kept[0], kept.at(-1)], [1000, many[1000], many[1]]);
});

test('suppressOverlaps() gives nothing for nothing', () => {
  assert.deepEqual(suppressOverlaps([], 0.5), []);
});

test('suppressOverlaps() equals comparing every pair', () => {
  fc.assert(
    fc.property(crowds, limits, (candidates, iou) => {
      assert.deepEqual(suppressOverlaps(candidates, iou), suppressPairwise(candidates, iou));
    }),
    { numRuns: 300 },
  );
});

test('suppressOverlaps() changes nothing the second time', () => {
  fc.assert(
    fc.property(crowds, limits, (candidates, iou) => {
      const kept = suppressOverlaps(candidates, iou);
      assert.deepEqual(suppressOverlaps(kept, iou), kept);
    }),
  );
});

const length = fc.integer({ min: 1, max: 8 });

/** Small whole boxes that overlap often; no two are equally confident, so that the order is defined. */
const crowds = fc.uniqueArray(
  fc.record({
    box: fc
      .tuple(fc.nat(10), fc.nat(10), length, length)
      .map(([x, y, width, height]) => box(x, y, width, height)),
    classId: fc.nat(2),
    confidence: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  { maxLength: 25, selector: ({ confidence }) => confidence },
);

const limits = fc.constantFrom(0, 0.1, 0.3, 0.45, 0.7, 1);

/** Darknet's do_nms_sort(): in order of confidence, each box that is left strikes out later ones. */
function suppressPairwise(candidates: readonly Candidate[], iou: number): readonly Candidate[] {
  const sorted = [...candidates].sort((a, b) => b.confidence - a.confidence);
  const struck = new Set<Candidate>();
  for (const [at, first] of sorted.entries()) {
    for (const second of sorted.slice(at + 1)) {
      const overlaps = intersectionOverUnion(first.box, second.box) > iou;
      if (!struck.has(first) && first.classId === second.classId && overlaps) struck.add(second);
    }
  }
  return sorted.filter((item) => !struck.has(item));
}

/** A box by its upper left corner. */
function box(x: number, y: number, width: number, height: number): Box {
  return { centerX: x + width / 2, centerY: y + height / 2, width, height };
}

function candidate(place: Box, confidence: number, classId = 0): Candidate {
  return { box: place, classId, confidence };
}
