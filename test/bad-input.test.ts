/** Every bad input is a clear error, stores nothing, and takes no memory to speak of. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Sharp } from 'sharp';
import sharp from 'sharp';
import { ExecutorClient } from '../agent/engine/executor-client.js';
import type { Tensor } from '../shared/graph/index.js';
import { parseOnnx, writeOnnx } from '../shared/onnx/index.js';
import { runMafat, smallModel, temporaryFolder } from './fixtures.js';
import { imageInputOf } from './run-in-process.js';
import { LAST_CONVOLUTION, writeDetector } from './synthetic-detector.js';

test('import refuses weights that are a float short or over, naming the layer', (context) => {
  const folder = temporaryFolder(context);
  const detector = writeDetector(folder);
  const weights = readFileSync(detector.weights);
  const short = join(folder, 'short.weights');
  const over = join(folder, 'over.weights');
  writeFileSync(short, weights.subarray(0, weights.length - 4));
  writeFileSync(over, Buffer.concat([weights, Buffer.alloc(4)]));
  const models = join(folder, 'models');
  const { layer, floats } = LAST_CONVOLUTION;
  assertRefused(
    runMafat(models, 'model', 'import', detector.config, short),
    new RegExp(`layer ${layer} \\[convolutional\\]: ${floats - 1} floats left, expected ${floats}`),
  );
  assertRefused(
    runMafat(models, 'model', 'import', detector.config, over),
    new RegExp(`1 floats left over after layer ${layer}`),
  );
  assert.deepEqual(runMafat(models, 'model', 'list', '--json').stdout.trim(), '[]');
});

test('import refuses what is no ONNX model', (context) => {
  const folder = temporaryFolder(context);
  const model = smallModel();
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['truncated', model.subarray(0, model.length - 100), /not a valid protobuf/],
    [
      'noise',
      Uint8Array.from({ length: 500 }, (_, at) => (at * 37 + 11) % 256),
      /not a valid protobuf|no ai.onnx/,
    ],
    ['empty', new Uint8Array(), /empty.onnx: it is empty/],
  ];
  for (const [name, bytes, expected] of cases) {
    const file = join(folder, `${name}.onnx`);
    writeFileSync(file, bytes);
    assertRefused(runMafat(join(folder, 'models'), 'model', 'import', file), expected);
  }
});

test('import refuses an operator or operator set that ONNX Runtime does not know', (context) => {
  const folder = temporaryFolder(context);
  const graph = parseOnnx(smallModel());
  const unknown = {
    ...graph,
    nodes: graph.nodes.map((node) => (node.op === 'Relu' ? { ...node, op: 'Reluu' } : node)),
  };
  writeFileSync(join(folder, 'operator.onnx'), writeOnnx(unknown));
  writeFileSync(join(folder, 'opset.onnx'), writeOnnx({ ...graph, opsets: { '': 99 } }));
  const models = join(folder, 'models');
  assertRefused(runMafat(models, 'model', 'import', join(folder, 'operator.onnx')), /Reluu/);
  assertRefused(runMafat(models, 'model', 'import', join(folder, 'opset.onnx')), /opset 99, expected 7 to/);
});

test('import refuses external data outside the folder of the model', (context) => {
  const folder = temporaryFolder(context);
  symlinkSync('/etc/hostname', join(folder, 'link.bin'));
  for (const [location, expected] of [
    ['../secret.bin', /points outside the model's folder/],
    ['/etc/hostname', /points outside the model's folder/],
    ['link.bin', /links to outside the model's folder/],
    ['absent.bin', /no such file/],
  ] as const) {
    writeFileSync(join(folder, 'model.onnx'), withExternalWeights(location));
    assertRefused(runMafat(join(folder, 'models'), 'model', 'import', join(folder, 'model.onnx')), expected);
  }
});

test('import refuses external data that is shorter than its tensor', (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'short.bin'), Buffer.alloc(16));
  writeFileSync(join(folder, 'model.onnx'), withExternalWeights('short.bin'));
  assertRefused(
    runMafat(join(folder, 'models'), 'model', 'import', join(folder, 'model.onnx')),
    /bytes 0 to 432, the file has 16/,
  );
});

test('a failed import leaves nothing behind', (context) => {
  const folder = temporaryFolder(context);
  const models = join(folder, 'models');
  const graph = parseOnnx(smallModel());
  const broken = graph.nodes.map((node) => (node.op === 'Relu' ? { ...node, op: 'Reluu' } : node));
  writeFileSync(join(folder, 'model.onnx'), writeOnnx({ ...graph, nodes: broken }));
  assertRefused(runMafat(models, 'model', 'import', join(folder, 'model.onnx')), /Reluu/);
  assert.deepEqual(readdirSync(models), []);
});

test('a name that is taken is an error without --force', (context) => {
  const folder = temporaryFolder(context);
  const models = join(folder, 'models');
  const file = join(folder, 'net.onnx');
  writeFileSync(file, smallModel());
  assert.equal(runMafat(models, 'model', 'import', file).code, 0);
  assertRefused(runMafat(models, 'model', 'import', file), /"net": the name is taken; --force replaces it/);
  assert.equal(runMafat(models, 'model', 'import', file, '--force').code, 0);
});

test('plan refuses an impossible budget, naming the smallest that can be met', (context) => {
  const models = temporaryFolder(context);
  assert.equal(runMafat(models, 'model', 'synth', 'yolov2-tiny', '--layers', '0-7', '--name', 'net').code, 0);
  const refused = runMafat(models, 'plan', 'net', '--budget', '1M');
  assert.equal(refused.code, 3);
  const smallest = /needs (\d+(\.\d+)?)M/.exec(refused.stderr)?.[1];
  assert.ok(smallest !== undefined, refused.stderr);
  assert.equal(runMafat(models, 'plan', 'net', '--budget', `${smallest}M`).code, 0);
});

test('run refuses images that are too small, too large or none, in bounded memory', async (context) => {
  const folder = temporaryFolder(context);
  const models = join(folder, 'models');
  writeFileSync(join(folder, 'net.onnx'), smallModel());
  assert.equal(runMafat(models, 'model', 'import', join(folder, 'net.onnx')).code, 0);
  const large = join(folder, 'large.jpg');
  await flat(10000, 10000).jpeg().toFile(large);
  const tiny = join(folder, 'tiny.png');
  await flat(1, 1).png().toFile(tiny);
  const cut = join(folder, 'cut.jpg');
  writeFileSync(cut, (await flat(300, 300).jpeg().toBuffer()).subarray(0, 400));
  const text = join(folder, 'text.jpg');
  writeFileSync(text, 'no image');
  const vector = join(folder, 'vector.svg');
  writeFileSync(vector, '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"/>');
  for (const [file, expected] of [
    [large, /10000x10000 pixels, expected at most 67108864/],
    [tiny, /1x1 pixels, expected at least 2x2/],
    [cut, /Cannot (decode|read) image .*cut.jpg/],
    [text, /Cannot read image .*text.jpg: .*unsupported image format; expected jpeg, png, webp/],
    [vector, /format svg, expected jpeg, png, webp/],
    [join(folder, 'absent.jpg'), /absent.jpg/],
  ] as const) {
    assertRefused(runMafat(models, 'run', 'net', '--image', file), expected);
  }
  assert.ok((await memoryToRefuse(large)) < 16 * 2 ** 20);
});

function assertRefused(
  { code, stdout, stderr }: { code: number | null; stdout: string; stderr: string },
  expected: RegExp,
): void {
  assert.notEqual(code, 0);
  assert.equal(stdout, '');
  assert.match(stderr, expected);
  assert.doesNotMatch(stderr, /\n\s+at /, 'no stack trace');
}

function flat(width: number, height: number): Sharp {
  return sharp({ create: { width, height, channels: 3, background: 'teal' }, limitInputPixels: false });
}

function withExternalWeights(location: string): Uint8Array {
  const graph = parseOnnx(smallModel());
  const tensors = graph.tensors.map((tensor): Tensor => {
    if (tensor.name !== 'weights') return tensor;
    return { ...tensor, constant: { kind: 'external', location, offset: 0, length: 432 } };
  });
  return writeOnnx({ ...graph, tensors });
}

/** Working memory of an executor that is asked to decode a file and refuses. */
async function memoryToRefuse(path: string): Promise<number> {
  const executor = new ExecutorClient();
  await executor.start();
  try {
    const meter = executor.createMeter();
    meter.start();
    const input = imageInputOf(parseOnnx(smallModel()));
    const empty = {
      isImported: true,
      folder: '.',
      settings: { level: 'extended', allocator: 'glibc', threads: 1 },
      input,
      maps: [],
      segments: [],
      outputs: [],
    } as const;
    await executor.ask({ kind: 'load', program: empty });
    const run = executor.ask({ kind: 'run', image: { kind: 'file', path }, outputs: 'shapes' });
    await assert.rejects(run, RangeError);
    return meter.stop();
  } finally {
    await executor.stop();
  }
}
