/** `mafat run --png` on networks whose pictures are known. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import sharp from 'sharp';
import type { NetworkRun } from '../agent/cli/run-network.js';
import type { Graph } from '../shared/graph/index.js';
import { GraphBuilder } from '../shared/graph/index.js';
import { writeOnnx } from '../shared/onnx/index.js';
import { runMafat, temporaryFolder } from './fixtures.js';

const [WIDTH, HEIGHT] = [48, 32];

test('a network whose classes are the strongest colours is found to give a class map', async (context) => {
  for (const last of ['Softmax', 'ArgMax'] as const) {
    const { image, png } = await runWithPng(context, strongestColour(last));
    // Three quarters of the picture are red, the rest is blue.
    const shares = image?.shares?.map(({ classId, share }) => [classId, share]);
    assert.deepEqual(shares, [
      [0, 0.75],
      [2, 0.25],
    ]);
    assert.deepEqual([image?.classMap?.width, image?.classMap?.height], [WIDTH, HEIGHT]);
    assert.deepEqual(image?.classMap?.runs.slice(0, 4), [0, 36, 2, 12]);
    const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    assert.deepEqual([info.width, info.height], [WIDTH, HEIGHT]);
    assert.deepEqual([...data.subarray(0, 3)], [0, 0, 0]);
    assert.deepEqual([...data.subarray((WIDTH - 1) * 3, WIDTH * 3)], [0, 128, 0]);
  }
});

test('a network that enlarges a picture is found to give one', async (context) => {
  const { image, png } = await runWithPng(context, twice());
  assert.deepEqual(image?.picture, {
    ...{ width: 2 * WIDTH, height: 2 * HEIGHT },
    area: { x: 0, y: 0, width: WIDTH, height: HEIGHT },
  });
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  assert.deepEqual([info.width, info.height, info.channels], [2 * WIDTH, 2 * HEIGHT, 3]);
  assert.deepEqual([...data.subarray(0, 3)], [255, 0, 0]);
  assert.deepEqual([...data.subarray(-3)], [0, 0, 255]);
});

test('--png is refused for networks without a picture and for several images', (context) => {
  const { models, picture } = importGraph(context, scores());
  const png = join(models, 'out.png');
  const image = ['--image', picture];
  const none = runMafat(models, 'run', 'net', ...image, '--png', png);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /gives no picture: its decoder is classes/);
  assert.equal(runMafat(models, 'run', 'net', ...image, ...image, '--png', png).code, 2);
  assert.equal(runMafat(models, 'run', 'net', ...image, '--png', `${png}.jpg`).code, 2);
});

/** Imports a graph, and writes the picture that it is run on: red, and blue in its last quarter. */
function importGraph(context: TestContext, graph: Graph, ...options: readonly string[]) {
  const folder = temporaryFolder(context);
  const [models, file] = [join(folder, 'models'), join(folder, 'net.onnx')];
  writeFileSync(file, writeOnnx(graph));
  const { code, stderr } = runMafat(models, 'model', 'import', file, '--no-check', ...options);
  assert.equal(code, 0, stderr);
  return { models, folder, picture: join(folder, 'picture.png') };
}

async function runWithPng(context: TestContext, graph: Graph, ...options: readonly string[]) {
  const { models, folder, picture } = importGraph(context, graph, ...options);
  const data = Uint8Array.from({ length: WIDTH * HEIGHT * 3 }, (_, at) => {
    const isBlue = Math.floor(at / 3) % WIDTH >= (WIDTH * 3) / 4;
    return at % 3 === (isBlue ? 2 : 0) ? 255 : 0;
  });
  await sharp(data, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } }).toFile(picture);
  const png = join(folder, 'out.png');
  const run = runMafat(models, 'run', 'net', '--image', picture, '--png', png, '--json');
  assert.equal(run.code, 0, run.stderr);
  const { images } = JSON.parse(run.stdout) as NetworkRun;
  return { image: images[0], png: readFileSync(png) };
}

function strongestColour(last: 'Softmax' | 'ArgMax'): Graph {
  const builder = new GraphBuilder();
  const image = builder.addInput('image', [1, 3, HEIGHT, WIDTH]);
  const map = { channels: 3, rows: HEIGHT, cols: WIDTH };
  const weights = builder.addConstant('weights', Float32Array.of(3, 0, 0, 0, 3, 0, 0, 0, 3), [3, 3, 1, 1]);
  const attributes = { kernel_shape: [1, 1] };
  const colours = builder.addMap(0, { op: 'Conv', inputs: [image, weights], attributes }, map).tensor;
  if (last === 'Softmax')
    return builder.build('colours', [
      builder.addMap(0, { op: last, inputs: [colours], attributes: { axis: 1 } }, map).tensor,
    ]);
  const best = { op: last, inputs: [colours], attributes: { axis: 1, keepdims: 0 } };
  return builder.build('colours', [builder.addNode(0, best, { dtype: 'int64', shape: [1, HEIGHT, WIDTH] })]);
}

/** Each pixel four times. */
function twice(): Graph {
  const builder = new GraphBuilder();
  const image = builder.addInput('image', [1, 3, HEIGHT, WIDTH]);
  const weights = new Float32Array(3 * 4).fill(1);
  const kernel = builder.addConstant('kernel', weights, [3, 1, 2, 2]);
  const attributes = { group: 3, kernel_shape: [2, 2], strides: [2, 2] };
  const spec = { op: 'ConvTranspose', inputs: [image, kernel], attributes };
  const map = { channels: 3, rows: 2 * HEIGHT, cols: 2 * WIDTH };
  return builder.build('twice', [builder.addMap(0, spec, map).tensor]);
}

/** One score for each channel. */
function scores(): Graph {
  const builder = new GraphBuilder();
  const image = builder.addInput('image', [1, 3, HEIGHT, WIDTH]);
  const pooled = { op: 'GlobalAveragePool', inputs: [image] };
  return builder.build('scores', [builder.addMap(0, pooled, { channels: 3, rows: 1, cols: 1 }).tensor]);
}
