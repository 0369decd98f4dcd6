import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { npzOf } from '../../agent/cli/write-npz.js';
import { temporaryFolder } from '../fixtures.js';

const skip =
  spawnSync('python3', ['-c', 'import zipfile']).status === 0 ? false : 'no python3 to read it with';

test('npzOf() writes a zip of .npy files', { skip }, (context) => {
  const folder = temporaryFolder(context);
  const file = join(folder, 'outputs.npz');
  const floats = new Uint8Array(Float32Array.of(1, 2.5, -3, 4).buffer);
  const ints = new Uint8Array(BigInt64Array.of(7n).buffer);
  writeFileSync(
    file,
    npzOf([
      { name: '/head/boxes', dtype: 'float32', shape: [2, 2], bytes: floats },
      { name: 'count', dtype: 'int64', shape: [1], bytes: ints },
    ]),
  );
  const script = `import zipfile; z = zipfile.ZipFile(r'${file}'); print(z.testzip(), z.namelist()); z.extractall(r'${folder}')`;
  assert.equal(execFileSync('python3', ['-c', script]).toString(), "None ['_head_boxes.npy', 'count.npy']\n");
  const npy = readFileSync(join(folder, '_head_boxes.npy'));
  const header = npy.subarray(10, 10 + npy.readUInt16LE(8)).toString();
  assert.deepEqual(
    [npy.subarray(0, 8).toString('latin1'), (10 + header.length) % 64],
    ['\x93NUMPY\x01\x00', 0],
  );
  assert.match(header, /^\{'descr': '<f4', 'fortran_order': False, 'shape': \(2, 2\), \} +\n$/);
  assert.deepEqual(new Uint8Array(npy.subarray(10 + header.length)), floats);
  assert.match(readFileSync(join(folder, 'count.npy')).toString('latin1'), /'<i8'.*'shape': \(1,\)/);
});

test('npzOf() refuses an output without values', () => {
  assert.throws(
    () => npzOf([{ name: 'a', dtype: 'string', shape: [1], bytes: new Uint8Array(1) }]),
    /"a": string values/,
  );
});
