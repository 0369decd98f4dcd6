import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ObjectTrackerOptions, Sighting } from '../../agent/track/object-tracker.js';
import { MAX_TRACKS, ObjectTracker } from '../../agent/track/object-tracker.js';
import { countObjects } from '../../agent/track/tracked-object.js';

const OPTIONS: ObjectTrackerOptions = {
  maxAgeMs: 3000,
  minHits: 2,
  iouThreshold: 0.3,
  updateMs: 5000,
  frameMs: 1000,
  idPrefix: 'run',
};

interface SightingChanges extends Partial<Omit<Sighting, 'detection'>> {
  readonly label?: string;
  readonly confidence?: number;
  readonly x?: number;
}

function sighting({
  label = 'person',
  confidence = 0.5,
  x = 0.5,
  ...changes
}: SightingChanges = {}): Sighting {
  return {
    detection: { label, classId: 0, confidence, box: { x: 100 * x, y: 40, width: 10, height: 20 } },
    place: { centerX: x, centerY: 0.5, width: 0.1, height: 0.2 },
    zones: [],
    isCounted: true,
    ...changes,
  };
}

/** The moment of a second. */
const at = (second: number) => ({ at: `second ${second}`, nowMs: 1000 * second });

test('ObjectTracker tells of an object once, then of changes of its zones, now and then, and of its end', () => {
  const tracker = new ObjectTracker(OPTIONS);
  const told: (readonly [second: number, change: string, zones: readonly string[]])[] = [];
  for (let second = 0; second <= 13; second += 1) {
    const sightings = second <= 10 ? [sighting({ zones: second >= 7 ? ['door'] : [] })] : [];
    for (const { change, object } of tracker.see(sightings, at(second)).changes)
      told.push([second, change, object.zones]);
  }
  assert.deepEqual(told, [
    [1, 'new', []],
    [6, 'update', []],
    [7, 'update', ['door']],
    [13, 'end', ['door']],
  ]);
  assert.ok(tracker.isEmpty);
});

test('ObjectTracker keeps the best confidence with its time, and the last box', () => {
  const tracker = new ObjectTracker(OPTIONS);
  for (const [second, confidence] of [0.3, 0.4, 0.9, 0.6].entries())
    tracker.see([sighting({ confidence, x: 0.5 + 0.01 * second })], at(second));
  const [object] = tracker.objects;
  assert.deepEqual(object, {
    id: 'run-1',
    label: 'person',
    confidence: 0.9,
    box: { x: 53, y: 40, width: 10, height: 20 },
    zones: [],
    firstAt: 'second 1',
    lastAt: 'second 3',
    bestAt: 'second 2',
  });
});

test('ObjectTracker follows each label alone, and leaves out what does not count', () => {
  const tracker = new ObjectTracker(OPTIONS);
  const frame = [
    sighting(),
    sighting({ label: 'dog' }),
    sighting({ label: 'cat', isCounted: false }),
    sighting({ x: 0.9 }),
  ];
  assert.deepEqual(tracker.see(frame, at(0)).ids, [undefined, undefined, undefined, undefined]);
  const { ids } = tracker.see(frame, at(1));
  assert.equal(ids[2], undefined);
  assert.equal(new Set(ids).size, 4);
  assert.deepEqual(tracker.see(frame, at(2)).ids, ids);
  const exchanged = [frame[1], frame[0]].filter((one) => one !== undefined);
  assert.deepEqual(tracker.see(exchanged, at(3)).ids, [ids[1], ids[0]]);
});

test('ObjectTracker lets objects outlive a missed frame of a slow model', () => {
  const tracker = new ObjectTracker(OPTIONS);
  for (const second of [0, 8, 16]) tracker.see([sighting()], at(second));
  assert.deepEqual(tracker.see([], at(24)).changes, []);
  assert.deepEqual(tracker.see([sighting()], at(32)).ids, ['run-1']);
  assert.equal(tracker.maxAgeMs, 20_000);
});

test('ObjectTracker takes neither frames that were left out nor a long pause for the rate of its frames', () => {
  const tracker = new ObjectTracker(OPTIONS);
  tracker.see([], at(0));
  tracker.pause();
  tracker.see([sighting()], at(500));
  assert.equal(tracker.maxAgeMs, OPTIONS.maxAgeMs);
  tracker.see([sighting()], at(4000));
  assert.equal(tracker.maxAgeMs, 150_000);
});

test('ObjectTracker.endAll() ends all objects, and their ids are not used again', () => {
  const tracker = new ObjectTracker(OPTIONS);
  for (const second of [0, 1]) tracker.see([sighting(), sighting({ label: 'dog' })], at(second));
  const ended = tracker.endAll();
  assert.deepEqual(
    ended.map(({ change, object }) => [change, object.id]),
    [
      ['end', 'run-1'],
      ['end', 'run-2'],
    ],
  );
  assert.deepEqual([tracker.isEmpty, tracker.objects, tracker.endAll()], [true, [], []]);
  tracker.see([sighting()], at(2));
  assert.deepEqual(tracker.see([sighting()], at(3)).ids, ['run-3']);
});

test('ObjectTracker follows a bounded number of things, over all labels', () => {
  const tracker = new ObjectTracker({ ...OPTIONS, minHits: 1 });
  const many = Array.from({ length: 3 * MAX_TRACKS }, (_, index) =>
    sighting({ label: `label ${index % 7}`, place: { centerX: index, centerY: 0, width: 0.1, height: 0.1 } }),
  );
  for (const second of [0, 1]) {
    const { ids } = tracker.see(many, at(second));
    assert.equal(ids.filter((id) => id !== undefined).length, MAX_TRACKS);
  }
  assert.equal(tracker.objects.length, MAX_TRACKS);
});

test('countObjects() counts by label, and by label in each zone', () => {
  const tracker = new ObjectTracker({ ...OPTIONS, minHits: 1 });
  const frame = [
    sighting({ zones: ['door', 'yard'] }),
    sighting({ x: 0.9, zones: ['yard'] }),
    sighting({ label: 'dog' }),
  ];
  tracker.see(frame, at(0));
  assert.deepEqual(countObjects(tracker.objects, ['door', 'yard', 'roof']), {
    labels: { dog: 1, person: 2 },
    zones: { door: { person: 1 }, yard: { person: 2 }, roof: {} },
  });
});
