import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { allocate, release, valuesOf } from '../../../agent/engine/wire/typed-array.js';
import type { DataType } from '../../../shared/graph/index.js';

const DTYPES = ['float32', 'float64', 'float16', 'int8', 'uint8', 'bool', 'int16', 'int32', 'int64'] as const;

test('release() empties the array and every other view of its buffer', () => {
  for (const dtype of DTYPES) {
    const array = allocate(dtype, 100);
    const whole = new Uint8Array(array.buffer);
    const part = array.subarray(10, 20);
    release(array);
    assert.deepEqual([array.length, whole.length, part.length], [0, 0, 0], dtype);
    assert.equal(array.buffer.byteLength, 0);
  }
});

test('release() of a part releases the whole', () => {
  const array = allocate('float32', 100);
  release(array.subarray(10, 20));
  assert.equal(array.length, 0);
});

test('release() takes an empty array', () => {
  const array = allocate('float32', 0);
  release(array);
  assert.equal(array.length, 0);
});

test('release() leaves other arrays alone, and what is allocated next is zero', () => {
  const [kept, gone] = [allocate('float32', 1000), allocate('float32', 1000)];
  kept.fill(7 as never);
  gone.fill(9 as never);
  release(gone);
  const next = allocate('float32', 1000);
  assert.ok(kept.every((value) => value === 7));
  assert.ok(next.every((value) => value === 0));
});

test('release() releases in a process started with TRANSFER_FLAGS', () => {
  const url = new URL('../../../agent/engine/wire/typed-array.js', import.meta.url);
  const evaluate = (flags: readonly string[], script: string) => {
    const imports = `const { release, TRANSFER_FLAGS } = await import('${url}');`;
    const args = [...flags, '--input-type=module', '--eval', `${imports} console.log(${script})`];
    return JSON.parse(spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout);
  };
  // This one has been started with them, and so wants none.
  const flags = evaluate([], 'JSON.stringify(TRANSFER_FLAGS)') as readonly string[];
  const lengthAfter = '((array) => (release(array), array.length))(new Float32Array(3))';
  assert.equal(evaluate(flags, lengthAfter), 0);
  assert.equal(evaluate([], lengthAfter), flags.length === 0 ? 0 : 3, 'without them it does no harm');
});

test('valuesOf() shares aligned bytes and copies others', () => {
  const bytes = new Uint8Array(12);
  new DataView(bytes.buffer).setFloat32(4, 1.5, true);
  const aligned = valuesOf('float32', bytes.subarray(4, 8));
  assert.deepEqual([[...aligned], aligned.buffer === bytes.buffer], [[1.5], true]);
  const shifted = new Uint8Array(13);
  shifted.set(bytes, 1);
  const copied = valuesOf('float32', shifted.subarray(5, 9));
  assert.deepEqual([[...copied], copied.buffer === shifted.buffer], [[1.5], false]);
});

test('allocate() refuses strings', () => {
  assert.throws(() => allocate('string' satisfies DataType, 1), { name: 'TypeError' });
});
