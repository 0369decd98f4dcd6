/** What `model import` and `run --verify` say of the file that a model was imported from. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { NetworkVerification } from '../agent/cli/verify-network.js';
import { GraphBuilder } from '../shared/graph/index.js';
import { writeOnnx } from '../shared/onnx/index.js';
import { runMafat, smallModel, smallPng, temporaryFolder } from './fixtures.js';

interface Run {
  readonly verify: NetworkVerification;
  readonly images: readonly { readonly outputs: readonly { readonly shape: readonly number[] }[] }[];
}

test('model import compares the model with its file, and run --verify does again', async (context) => {
  const folder = temporaryFolder(context);
  const place = (name: string) => join(folder, name);
  const [file, moved, image] = [place('net.onnx'), place('moved.onnx'), place('image.png')];
  const mafat = (...args: readonly string[]) => runMafat(join(folder, 'models'), ...args);
  const verify = (...args: readonly string[]) => mafat('run', 'net', '--image', image, '--verify', ...args);
  writeFileSync(file, smallModel());
  writeFileSync(image, await smallPng({ width: 32, height: 24 }));
  const imported = mafat('model', 'import', file);
  assert.match(imported.stdout, /its outputs equal those of the file bit for bit/);
  assert.doesNotMatch(mafat('model', 'import', file, '--force', '--no-check').stdout, /outputs/);
  assert.match(verify().stdout, new RegExp(`as ${file}: exact: largest difference 0`));

  renameSync(file, moved);
  assert.match(verify().stdout, /not compared with the imported file: Cannot read .*net.onnx: no such file/);
  assert.match(verify('--against', moved).stdout, /moved.onnx: exact/);
  writeFileSync(moved, otherModel());
  assert.match(
    verify('--against', moved).stdout,
    /moved.onnx isn't the file that was imported: it has sha256:/,
  );

  // As if our passes had changed the network.
  mafat('model', 'import', moved, '--name', 'other');
  const manifest = (name: string) => join(folder, 'models', name, 'model.yaml');
  const [, digest = ''] = /digest: (sha256:\w+)/.exec(readFileSync(manifest('net'), 'utf8')) ?? [];
  const [, other = ''] = /digest: (sha256:\w+)/.exec(readFileSync(manifest('other'), 'utf8')) ?? [];
  writeFileSync(manifest('net'), readFileSync(manifest('net'), 'utf8').replace(digest, other));
  const differing = verify('--against', moved, '--json');
  assert.equal(differing.code, 4);
  assert.match(differing.stderr, /outputs differ from those of .*moved.onnx by more than rounding/);
  const { verify: verified } = JSON.parse(differing.stdout) as Run;
  assert.ok(verified.exact && 'exact' in verified.file && !verified.file.exact);
});

test('an output whose size depends on the image has the size that the image gives it', async (context) => {
  const folder = temporaryFolder(context);
  const [file, image] = [join(folder, 'found.onnx'), join(folder, 'image.png')];
  writeFileSync(file, brightPixels());
  writeFileSync(image, await smallPng({ width: 16, height: 16 }));
  const mafat = (...args: readonly string[]) => runMafat(join(folder, 'models'), ...args);
  const imported = mafat('model', 'import', file);
  assert.match(imported.stdout, /bit for bit/, imported.stderr);
  const shapeIn = (run: { readonly stdout: string; readonly stderr: string }) => {
    const { verify, images } = JSON.parse(run.stdout) as Run;
    assert.ok(verify.exact && 'exact' in verify.file && verify.file.exact, run.stderr);
    return images[0]?.outputs[0]?.shape;
  };
  const shape = shapeIn(mafat('run', 'found', '--image', image, '--verify', '--json'));
  assert.equal(shape?.[0], 4);
  assert.ok((shape[1] ?? 0) > 50 && (shape[1] ?? 0) < 3 * 16 * 16 - 50, `${shape}`);
  const cut = ['--plan', 'whole | 1 | whole'];
  assert.deepEqual(shapeIn(mafat('run', 'found', '--image', image, '--verify', '--json', ...cut)), shape);
});

/** Of the names and shapes of `smallModel()`, with other weights. */
function otherModel(): Uint8Array {
  const builder = new GraphBuilder();
  const image = builder.addInput('image', [1, 3, 16, 16]);
  const weights = builder.addConstant('weights', new Float32Array(4 * 3 * 9).fill(0.1), [4, 3, 3, 3]);
  const map = { channels: 4, rows: 16, cols: 16 };
  const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
  const conv = builder.addMap(0, { op: 'Conv', inputs: [image, weights], attributes }, map);
  return writeOnnx(
    builder.build('small', [builder.addMap(1, { op: 'Relu', inputs: [conv.tensor] }, map).tensor]),
  );
}

/** The places of values above the middle, as many as there are, and their count read off their shape. */
function brightPixels(): Uint8Array {
  const builder = new GraphBuilder();
  const image = builder.addInput('image', [1, 3, 16, 16]);
  const middle = builder.addConstant('middle', Float32Array.of(0.5), [1]);
  const map = { channels: 3, rows: 16, cols: 16 };
  const { tensor } = builder.addMap(0, { op: 'Sub', inputs: [image, middle] }, map);
  const bright = builder.addMap(1, { op: 'Relu', inputs: [tensor] }, map);
  const int64 = { dtype: 'int64', shape: null } as const;
  const found = builder.addNode(2, { op: 'NonZero', inputs: [bright.tensor] }, int64);
  const shape = builder.addNode(3, { op: 'Shape', inputs: [found] }, int64);
  const again = builder.addNode(4, { op: 'Reshape', inputs: [found, shape] }, int64);
  return writeOnnx(builder.build('found', [again]));
}
