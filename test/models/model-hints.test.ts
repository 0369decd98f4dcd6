import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readHints, readLabels } from '../../agent/models/model-hints.js';

test('readLabels() reads Python dicts and lists, JSON and lines', () => {
  const cases = [
    [`{0: 'person', 1: "it's", 2: 'a "b"'}`, ['person', "it's", 'a "b"']],
    [`{1: 'b', 0: 'a'}`, ['a', 'b']],
    [`{"0": "a", "1": "b"}`, ['a', 'b']],
    [`['it\\'s', 'b',]`, ["it's", 'b']],
    [`['a' 'b']`, undefined],
    [`['it\\'s', "b"]`, ["it's", 'b']],
    ['["a","b"]', ['a', 'b']],
    ['a\nb\r\nc', ['a', 'b', 'c']],
    ['cat, dog', ['cat', 'dog']],
    [`{0: 'a', 2: 'c'}`, undefined],
    [`{0: 'a', 0: 'c'}`, undefined],
    [`{0: __import__('os')}`, undefined],
    [`{'a': 0, 'b': 1}`, undefined],
    ['[[1, 2]]', undefined],
    ['{0: "a"', undefined],
    ['80', undefined],
    ['', undefined],
  ] as const;
  for (const [text, labels] of cases) assert.deepEqual(readLabels(text), labels, text);
});

test('readHints() knows what ultralytics writes', () => {
  const entries = {
    ...{ description: 'Ultralytics YOLOv8n model trained on coco.yaml', author: 'Ultralytics', stride: '32' },
    ...{ task: 'detect', batch: '1', imgsz: '[384, 640]', names: `{0: 'person', 1: 'bicycle'}` },
  };
  assert.deepEqual(readHints({ producer: 'pytorch', entries: new Map(Object.entries(entries)) }), {
    producer: 'pytorch',
    task: 'detect',
    labels: ['person', 'bicycle'],
    labelsKey: 'names',
    stride: 32,
    imageSize: { width: 640, height: 384 },
    isUltralytics: true,
  });
});

test('readHints() passes over what it cannot read', () => {
  const entries = {
    names: 'model',
    imgsz: '[640',
    stride: '-1',
    task: 'x'.repeat(99),
    classes: '["a", "b"]',
  };
  assert.deepEqual(readHints({ producer: '', entries: new Map(Object.entries(entries)) }), {
    labels: ['a', 'b'],
    labelsKey: 'classes',
    isUltralytics: false,
  });
});
