import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Decoder } from '../../agent/decode/decoder-schema.js';
import { knownLabels } from '../../agent/decode/known-labels.js';

const YOLOX = { kind: 'yolox', output: 'o', strides: [8], threshold: 0.5, nmsIou: 0.5 } as const;

test('knownLabels() tells a dataset by its number of classes', () => {
  const coco = knownLabels({ ...YOLOX, classes: 80 });
  assert.deepEqual([coco?.labels.length, coco?.labels[16]], [80, 'dog']);
  assert.equal(knownLabels({ ...YOLOX, classes: 20 })?.labels[14], 'person');
  assert.equal(knownLabels({ ...YOLOX, classes: 3 }), undefined);
});

test('knownLabels() knows detectors of faces and of text', () => {
  const yunet: Decoder = { kind: 'yunet', strides: [8, 16, 32], threshold: 0.6, nmsIou: 0.3 };
  assert.deepEqual(knownLabels(yunet)?.labels, ['face']);
  const text = { kind: 'text-map', output: 'o', cellThreshold: 0.3, unclip: 1.5, threshold: 0.6 } as const;
  assert.deepEqual(knownLabels(text)?.labels, ['text']);
  assert.equal(knownLabels({ kind: 'raw' }), undefined);
});
