import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Box } from '../../agent/decode/detection.js';
import type { FrameTime, SortOptions } from '../../agent/track/sort-tracker.js';
import { SortTracker } from '../../agent/track/sort-tracker.js';

const FRAME_MS = 1000;

function createTracker(changes: Partial<SortOptions> = {}): SortTracker {
  let last = 0;
  const nextId = () => {
    last += 1;
    return last;
  };
  return new SortTracker({ minHits: 2, iouThreshold: 0.3, frameMs: FRAME_MS, nextId, ...changes });
}

/** The moment of a frame by its number. */
function frame(number: number, changes: Partial<FrameTime> = {}): FrameTime {
  return { nowMs: number * FRAME_MS, maxAgeMs: 3 * FRAME_MS, room: 200, ...changes };
}

const boxAt = (centerX: number, centerY = 0.5, size = 0.1): Box => ({
  centerX,
  centerY,
  width: size,
  height: size,
});

test('SortTracker gives a thing its id after minHits frames, and the same one from then on', () => {
  for (const minHits of [1, 2, 3]) {
    const tracker = createTracker({ minHits });
    const ids = [1, 2, 3, 4].map(
      (number) => tracker.update([boxAt(0.1 + 0.02 * number)], frame(number)).ids[0],
    );
    const expected = [1, 2, 3, 4].map((number) => (number >= minHits ? 1 : undefined));
    assert.deepEqual(ids, expected, `minHits ${minHits}`);
  }
});

test('SortTracker follows a thing that moves by its own width from its first frame on', () => {
  const tracker = createTracker();
  const seen = [0, 1, 2, 3].map(
    (number) => tracker.update([boxAt(0.2 + 0.1 * number)], frame(number)).ids[0],
  );
  assert.deepEqual(seen, [undefined, 1, 1, 1]);
});

test('SortTracker keeps the ids of two things that cross and of which one hides the other', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.02, max: 0.05, noNaN: true }),
      fc.double({ min: -0.03, max: 0.03, noNaN: true }),
      (speed, offset) => {
        const tracker = createTracker();
        const meeting = 0.4 / speed;
        for (let number = 0; number < 2 * meeting; number += 1) {
          const one = boxAt(0.1 + speed * number, 0.5);
          const other = boxAt(0.9 - speed * number, 0.5 + offset);
          const isHidden = Math.abs(one.centerX - other.centerX) < 0.05;
          const time = frame(number, { maxAgeMs: 6 * FRAME_MS });
          const { ids, ended } = tracker.update(isHidden ? [one] : [one, other], time);
          assert.deepEqual(ended, [], `frame ${number}`);
          if (number > 0) assert.deepEqual(ids, isHidden ? [1] : [1, 2], `frame ${number}`);
        }
      },
    ),
  );
});

test('SortTracker keeps the id of a thing over a gap shorter than its greatest age, and ends it after a longer one', () => {
  fc.assert(
    fc.property(
      fc.double({ min: -0.04, max: 0.04, noNaN: true }),
      fc.integer({ min: 0, max: 6 }),
      (speed, missed) => {
        const tracker = createTracker();
        const at = (number: number) => boxAt(0.5 + speed * number);
        for (const number of [-3, -2, -1, 0]) tracker.update([at(number)], frame(number));
        const ended: number[] = [];
        for (let number = 1; number <= missed; number += 1)
          ended.push(...tracker.update([], frame(number)).ended);
        assert.deepEqual(ended, missed >= 3 ? [1] : []);
        tracker.update([at(missed + 1)], frame(missed + 1));
        const { ids } = tracker.update([at(missed + 2)], frame(missed + 2));
        assert.deepEqual(ids, [missed >= 3 ? 2 : 1]);
      },
    ),
  );
});

test('SortTracker keeps the ids of several things in spite of noise and of detections that are missing', () => {
  const noise = fc.double({ min: -0.01, max: 0.01, noNaN: true });
  const seen = fc.record({
    x: noise,
    y: noise,
    isMissing: fc.integer({ min: 0, max: 5 }).map((roll) => roll === 0),
  });
  const frames = fc.array(fc.array(seen, { minLength: 4, maxLength: 4 }), { minLength: 12, maxLength: 12 });
  fc.assert(
    fc.property(frames, (sequence) => {
      const tracker = createTracker();
      for (const [number, things] of sequence.entries()) {
        // Speeds are first known from two places that are 0.02 off at most, which a longer gap would multiply. The first
        // two frames have all things, since one that is missing on its probation begins anew.
        const wasSeen = (thing: number) => !sequence[number - 1]?.[thing]?.isMissing;
        const shown = things.flatMap(({ isMissing }, thing) =>
          isMissing && number > 1 && wasSeen(thing) ? [] : [thing],
        );
        const boxes = shown.map((thing) => {
          const { x, y } = things[thing] ?? assert.fail();
          const direction = thing % 2 === 0 ? 1 : -1;
          return boxAt(0.5 + direction * 0.03 * (number - 6) + x, 0.2 * (thing + 1) + y);
        });
        const { ids } = tracker.update(boxes, frame(number, { maxAgeMs: 60_000 }));
        if (number > 0)
          assert.deepEqual(
            ids,
            shown.map((thing) => thing + 1),
          );
      }
    }),
  );
});

test('SortTracker counts time and not frames: one after a pause is expected farther on', () => {
  const tracker = createTracker();
  for (const number of [0, 1, 2]) tracker.update([boxAt(0.1 + 0.1 * number)], frame(number));
  assert.deepEqual(tracker.update([boxAt(0.6)], frame(5, { maxAgeMs: 60_000 })).ids, [1]);
});

test('SortTracker drops what is seen once, without an id and without an end', () => {
  const tracker = createTracker();
  tracker.update([boxAt(0.5)], frame(0));
  assert.deepEqual(tracker.update([], frame(1)), { ids: [], ended: [] });
  assert.equal(tracker.size, 0);
});

test('SortTracker never gives an id twice, neither to two boxes nor after an end, and keeps to its room', () => {
  const room = 5;
  const frames = fc.array(
    fc.array(
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
      {
        maxLength: 8,
      },
    ),
    { minLength: 1, maxLength: 15 },
  );
  fc.assert(
    fc.property(frames, (sequence) => {
      const tracker = createTracker();
      const gone = new Set<number>();
      for (const [number, places] of sequence.entries()) {
        const boxes = places.map(([x, y]) => boxAt(x, y, 0.2));
        const { ids, ended } = tracker.update(boxes, frame(number, { room }));
        const given = ids.filter((id) => id !== undefined);
        assert.equal(new Set(given).size, given.length);
        for (const id of ended) {
          assert.ok(!gone.has(id));
          gone.add(id);
        }
        assert.ok(given.every((id) => !gone.has(id)));
        assert.ok(tracker.size <= room);
      }
    }),
  );
});
