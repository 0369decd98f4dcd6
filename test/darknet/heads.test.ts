/** Detection heads of Darknet: anchors and shapes of maps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tensorAt } from '../../shared/graph/index.js';
import { assertFails, network } from './darknet-network.js';

test('buildDarknet() reads anchors of [region] in cells of its map', () => {
  const { heads, graph } = network(
    '3x32x16',
    '[maxpool] size=2 stride=2',
    '[convolutional] filters=14',
    '[region] anchors=4,2, 8,8 num=2 classes=2 softmax=1 jitter=.2',
  );
  assert.deepEqual(heads, [
    {
      kind: 'region',
      output: tensorAt(graph, graph.outputs[0] ?? -1).name,
      classes: 2,
      anchors: [
        { width: 0.25, height: 0.25 },
        { width: 0.5, height: 1 },
      ],
      scaleXY: 1,
      softmax: true,
      newCoords: false,
    },
  ]);
});

test('buildDarknet() reads the anchors of [yolo] that its mask picks in pixels of the input', () => {
  const { heads, graph } = network(
    '3x32x16',
    '[convolutional] filters=14',
    '[yolo] mask=2,0 anchors=8,4, 1,1, 16,16 num=3 classes=2 scale_x_y=1.1',
    '[convolutional] filters=7 stride=2',
    '[yolo] mask=1 anchors=8,4, 1,1, 16,16 num=3 classes=2 new_coords=1',
  );
  assert.equal(graph.outputs.length, 2);
  assert.deepEqual(
    heads.map(({ output }) => output),
    graph.outputs.map((index) => tensorAt(graph, index).name),
  );
  assert.deepEqual(heads[0]?.anchors, [
    { width: 0.5, height: 1 },
    { width: 0.25, height: 0.25 },
  ]);
  assert.deepEqual(heads[1]?.anchors, [{ width: 1 / 32, height: 1 / 16 }]);
  assert.deepEqual(
    heads.map(({ scaleXY, newCoords, softmax }) => [scaleXY, newCoords, softmax]),
    [
      [1.1, false, false],
      [1, true, false],
    ],
  );
});

test('buildDarknet() names layer, line and key when a head does not fit', () => {
  const conv = '[convolutional] filters=7';
  const cases = [
    ['[yolo] anchors=1,1 classes=3', 'classes=3', /8 channels for 1 anchors, while the layer before has 7/],
    ['[yolo] anchors=1,1,2 classes=2', 'anchors=1,1,2', /2 numbers for num=1/],
    ['[yolo] anchors=1,1 classes=2 mask=1', 'mask=1', /anchors from 0 to 0/],
    ['[region] anchors=1,1 classes=2 background=1', 'background=1', /expected 0/],
    ['[region] anchors=1,1 classes=0', 'classes=0', /a whole number from 1/],
  ] as const;
  for (const [head, key, expected] of cases) {
    assertFails(['3x8x8', conv, head], { layer: 1, key, expected });
  }
});
