import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeSection, floatOption, intOption, listOption } from '../../shared/darknet/darknet-config.js';
import type { DarknetSection } from '../../shared/darknet/index.js';
import { parseDarknetConfig } from '../../shared/darknet/index.js';

test('parseDarknetConfig() numbers layers from 0 after [net] and keeps the line of each key', () => {
  const [net, conv, pool] = parseDarknetConfig('[net]\nwidth=8\n\n[convolutional]\nsize=3\n[maxpool]\n');
  assert.deepEqual([net?.kind, net?.layer, net?.line], ['net', -1, 1]);
  assert.deepEqual([conv?.kind, conv?.layer, conv?.line], ['convolutional', 0, 4]);
  assert.deepEqual(conv?.entries.get('size'), { value: '3', line: 5 });
  assert.deepEqual([pool?.layer, pool?.entries.size], [1, 0]);
});

test('parseDarknetConfig() ignores comments, blank lines, white space and carriage returns', () => {
  const text = '# made by hand\r\n; so\r\n\r\n [ net ] \r\n\twidth = 8 # pixels\r\n  # height=9\r\n';
  const [net] = parseDarknetConfig(text);
  assert.deepEqual([...(net?.entries ?? [])], [['width', { value: '8', line: 5 }]]);
});

test("parseDarknetConfig() knows Darknet's synonyms of section names", () => {
  const text = '[network]\n[conv]\n[max]\n[avg]\n[soft]\n';
  const kinds = parseDarknetConfig(text).map(({ kind }) => kind);
  assert.deepEqual(kinds, ['net', 'convolutional', 'maxpool', 'avgpool', 'softmax']);
});

test('parseDarknetConfig() keeps everything after the first equals sign', () => {
  const [net] = parseDarknetConfig('[net]\npolicy=a=b\nsteps=\n');
  assert.equal(net?.entries.get('policy')?.value, 'a=b');
  assert.equal(net?.entries.get('steps')?.value, '');
});

test('parseDarknetConfig() names the line when it is neither section nor key', () => {
  assert.throws(() => parseDarknetConfig('[net]\nwidth=8\nheight 8\n'), {
    name: 'SyntaxError',
    message: 'Cannot parse Darknet config, line 3: "height 8", expected [section] or key=value',
  });
  assert.throws(() => parseDarknetConfig('width=8\n[net]\n'), /line 1: "width=8"/);
  assert.throws(() => parseDarknetConfig('[net]\n=8\n'), /line 2: "=8"/);
});

test('parseDarknetConfig() fails when the first section is not [net]', () => {
  assert.throws(() => parseDarknetConfig('[convolutional]\n[net]\n'), /first section is \[convolutional\]/);
  assert.throws(() => parseDarknetConfig('# nothing\n'), /first section is \[none\]/);
});

test('describeSection() names layer, kind and line', () => {
  const [net, conv] = parseDarknetConfig('[net]\n[convolutional]\n');
  assert.equal(net && describeSection(net), '[net] at line 1');
  assert.equal(conv && describeSection(conv), 'layer 0 [convolutional] at line 2');
});

test('intOption() takes the fallback when the key is absent', () => {
  assert.equal(intOption(section(''), 'size', { fallback: 7 }), 7);
  assert.equal(intOption(section('size=3'), 'size', { fallback: 7 }), 3);
});

test('intOption() names layer, line and key when the value is no whole number in range', () => {
  for (const value of ['1.5', 'three', '0', '-1', '9007199254740993']) {
    assert.throws(() => intOption(section(`size=${value}`), 'size', { fallback: 1, min: 1 }), {
      name: 'SyntaxError',
      message: `Cannot import layer 0 [convolutional] at line 2: size=${value} (line 3), expected a whole number from 1`,
    });
  }
});

test('floatOption() reads numbers and refuses anything else', () => {
  assert.equal(floatOption(section('scale=1.05'), 'scale', 1), 1.05);
  assert.equal(floatOption(section('scale=-1e-3'), 'scale', 1), -0.001);
  assert.equal(floatOption(section(''), 'scale', 0.5), 0.5);
  for (const value of ['', 'x', 'Infinity', '1,2']) {
    assert.throws(() => floatOption(section(`scale=${value}`), 'scale', 1), /\(line 3\), expected a number$/);
  }
});

test('listOption() reads numbers separated by commas', () => {
  assert.deepEqual(listOption(section('layers = -1, 8,61,'), 'layers'), [-1, 8, 61]);
  assert.deepEqual(listOption(section(''), 'layers'), []);
});

test('listOption() names layer, line and key when a part is no number', () => {
  for (const value of ['1,x', '', ',']) {
    assert.throws(
      () => listOption(section(`layers=${value}`), 'layers'),
      /layer 0 \[convolutional\] at line 2: layers=.* \(line 3\), expected numbers separated by commas/,
    );
  }
});

function section(line: string): DarknetSection {
  const [, first] = parseDarknetConfig(`[net]\n[convolutional]\n${line}\n`);
  assert.ok(first);
  return first;
}
