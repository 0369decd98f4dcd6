import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { setKey } from '../../agent/models/set-key.js';

const YAML = `# how it is used
input:
  scale: 0.5 # of bytes
  mean: [0, 0, 0]
decoder: { kind: darknet, heads: [{ anchors: 1 }] }
digest: sha256
`;

test('setKey() changes one key and keeps comments', () => {
  const cases = [
    ['input.scale', '1/255', (value: Values) => value.input.scale, 1 / 255],
    ['input.mean', '[1, 2.5, -3]', (value: Values) => value.input.mean, [1, 2.5, -3]],
    ['decoder.heads.0.anchors', '7', (value: Values) => value.decoder.heads[0]?.anchors, 7],
    ['labels', '["a", "b"]', (value: Values) => value.labels, ['a', 'b']],
  ] as const;
  for (const [key, text, read, expected] of cases) {
    const changed = setKey(YAML, key, text);
    assert.deepEqual(read(parse(changed) as Values), expected, key);
    assert.match(changed, /# how it is used/);
  }
});

test('setKey() refuses keys that say what the files are, and values that are no YAML', () => {
  assert.throws(() => setKey(YAML, 'digest', 'x'), /Cannot set "digest": expected input.resize/);
  assert.throws(() => setKey(YAML, 'input', '{}'), /Cannot set "input"/);
  assert.throws(() => setKey(YAML, 'input.scales', '1'), /Cannot set "input.scales"/);
  assert.throws(() => setKey(YAML, 'input.mean', '[1'), /Cannot set input.mean to "\[1"/);
});

interface Values {
  readonly input: { readonly scale: number; readonly mean: readonly number[] };
  readonly decoder: { readonly heads: readonly { readonly anchors: number }[] };
  readonly labels?: readonly string[];
}
