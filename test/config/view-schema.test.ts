import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../agent/config/load-config.js';

/** The camera of a configuration with these keys. */
function cameraOf(keys: string) {
  const text = `models: [{ name: m }]\ncameras: [{ kind: synthetic, name: c, model: m, ${keys} }]`;
  const [camera] = parseConfig(text, 'a.yaml').cameras;
  return camera ?? assert.fail('no camera');
}

test('a camera without the keys of its view takes all labels, has no zones, and is silent', () => {
  const { labels, zones, motion, objects, snapshots } = cameraOf('');
  assert.deepEqual(
    { labels, zones, motion, objects, snapshots },
    {
      labels: null,
      zones: [],
      motion: false,
      objects: { maxAge: 3, minHits: 2, iouThreshold: 0.3, updateInterval: 5 },
      snapshots: false,
    },
  );
});

test('labels are a list, or a map with the least confidence of each', () => {
  assert.deepEqual(cameraOf('labels: [person, car]').labels, { person: null, car: null });
  assert.deepEqual(cameraOf('labels: { person: 0.5, car: }').labels, { person: 0.5, car: null });
});

test('zones are polygons of relative points with a name each', () => {
  assert.deepEqual(cameraOf('zones: [{ name: door, points: [[0, 0], [1, 0.5], [0, 1]] }]').zones, [
    {
      name: 'door',
      points: [
        { x: 0, y: 0 },
        { x: 1, y: 0.5 },
        { x: 0, y: 1 },
      ],
    },
  ]);
});

test('motion and snapshots are off, or have a default for each key', () => {
  assert.deepEqual(cameraOf('motion: {}').motion, { threshold: 25, area: 0.005, mask: [] });
  assert.deepEqual(cameraOf('snapshots: { maxBytes: 64K }').snapshots, {
    width: 640,
    quality: 75,
    maxBytes: 64 * 2 ** 10,
    interval: 1,
  });
  assert.deepEqual([cameraOf('motion: false').motion, cameraOf('snapshots:').snapshots], [false, false]);
});

test('faults of a view are named with their place', () => {
  for (const [keys, expected] of [
    ['labels: []', /labels: cannot be .*expected a list of labels, or a map/],
    ['labels: { person: 2 }', /labels.person: cannot be 2, expected a number from 0 to 1/],
    ['labels: person', /labels: cannot be "person"/],
    ['zones: [{ name: a, points: [[0, 0], [1, 1]] }]', /points: .*expected a list of 3 to 64 points/],
    ['zones: [{ name: a, points: [[0, 0], [1, 1], [0, 1.2]] }]', /points.2.1: cannot be 1.2/],
    ['zones: [{ name: a, points: [[0, 0], [1, 1], [0]] }]', /points.2: .*expected a point, \[x, y\]/],
    [
      'zones: [{ name: a, points: [[0, 0], [1, 1], [0, 1]] }, { name: a, points: [[0, 0], [1, 1], [0, 1]] }]',
      /zones: cannot be "a", expected zones with a name of its own each/,
    ],
    ['motion: true', /motion: cannot be/],
    ['motion: { treshold: 3 }', /did you mean "threshold"/],
    ['objects: { minHits: 0 }', /minHits: cannot be 0/],
    ['snapshots: { maxBytes: 1K }', /maxBytes: cannot be "1K", expected a size from 16K to 2M/],
  ] as const)
    assert.throws(() => cameraOf(keys), expected, keys);
});
