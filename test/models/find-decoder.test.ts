/** What an import sees in a graph and its metadata to choose the decoder. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Decoder } from '../../agent/decode/decoder-schema.js';
import type { Graph } from '../../shared/graph/index.js';
import { GraphBuilder } from '../../shared/graph/index.js';
import { writeOnnx } from '../../shared/onnx/index.js';
import { ModelProtoSchema, StringStringEntryProtoSchema } from '../../shared/onnx/onnx_pb.js';
import { runMafat, temporaryFolder } from '../fixtures.js';

const SIDE = 64;
const NAMES = { names: "{0: 'cat', 1: 'dog'}" };

test("maps with YOLOv5's metadata are yolo-maps, and the graph says whether they are activated", async (context) => {
  for (const isActivated of [true, false]) {
    const decoder = await importedDecoder(context, anchorMaps(isActivated), { ...NAMES, stride: '32' });
    assert.ok(decoder.kind === 'yolo-maps');
    assert.equal(decoder.activated, isActivated);
  }
  const quantised = await importedDecoder(context, anchorMaps('quantised'), { ...NAMES, stride: '32' });
  assert.ok(quantised.kind === 'yolo-maps' && quantised.activated);
  const later = { ...NAMES, stride: '32', task: 'detect' };
  for (const metadata of [{}, NAMES, later]) {
    const decoder = await importedDecoder(context, anchorMaps(true), metadata);
    assert.equal(decoder.kind, 'raw', JSON.stringify(metadata));
  }
});

test('scores are activated where they are concatenated with boxes after a Sigmoid', async (context) => {
  for (const isActivated of [true, false]) {
    const decoder = await importedDecoder(context, nanodet(isActivated), NAMES);
    assert.ok(decoder.kind === 'dfl-maps');
    assert.equal(decoder.activated, isActivated);
  }
});

test("FastestDet's parts tell its map from others of the same shape", async (context) => {
  for (const ends of [
    ['Sigmoid', 'Conv', 'Softmax'],
    ['Sigmoid', 'Conv', 'Sigmoid'],
  ] as const) {
    const decoder = await importedDecoder(context, fastestdet(ends), NAMES);
    assert.equal(decoder.kind, ends[2] === 'Softmax' ? 'fastestdet' : 'raw');
  }
});

test("PaddlePaddle's names and the two transposed convolutions tell PP-OCR's detection", async (context) => {
  for (const [output, last] of [
    ['sigmoid_0.tmp_0', 'ConvTranspose'],
    ['mask', 'ConvTranspose'],
    ['sigmoid_0.tmp_0', 'Conv'],
  ] as const) {
    const decoder = await importedDecoder(context, textDetector(output, last), {});
    const isSure = output !== 'mask' && last === 'ConvTranspose';
    assert.equal(decoder.kind, isSure ? 'text-map' : 'raw', `${output}, ${last}`);
  }
});

/** One convolution for each stride, as YOLOv5's maps before they are split by anchor. */
function anchorMaps(isActivated: boolean | 'quantised'): Graph {
  const builder = new GraphBuilder();
  const image = builder.addInput('images', [1, 3, SIDE, SIDE]);
  const outputs = [8, 16, 32].map((stride) => {
    const map = mapOf(21, stride);
    const conv = headOf(builder, { image, stride, channels: 21 });
    if (isActivated === false) return conv;
    const activated = builder.addMap(0, { op: 'Sigmoid', inputs: [conv] }, map).tensor;
    return isActivated === 'quantised' ? quantise(builder, { tensor: activated, stride }) : activated;
  });
  return builder.build('yolov5', outputs);
}

/** What a quantised network ends with: values are rounded and turned back. */
function quantise(
  builder: GraphBuilder,
  { tensor, stride }: { readonly tensor: number; readonly stride: number },
): number {
  const scale = builder.addConstant(`scale${stride}`, Float32Array.of(1 / 255), []);
  const shape = [1, 21, SIDE / stride, SIDE / stride];
  const small = builder.addNode(
    0,
    { op: 'QuantizeLinear', inputs: [tensor, scale] },
    { dtype: 'uint8', shape },
  );
  return builder.addNode(0, { op: 'DequantizeLinear', inputs: [small, scale] }, float(shape));
}

/** NanoDet's head: scores and boxes of a stride are one map, and the cells of all strides follow one another. */
function nanodet(isActivated: boolean): Graph {
  const builder = new GraphBuilder();
  const image = builder.addInput('data', [1, 3, SIDE, SIDE]);
  const flat = [8, 16, 32].map((stride) => {
    const [scores, boxes] = [2, 32].map((channels) => headOf(builder, { image, stride, channels }));
    assert.ok(scores !== undefined && boxes !== undefined);
    const shown = isActivated
      ? builder.addMap(0, { op: 'Sigmoid', inputs: [scores] }, mapOf(2, stride)).tensor
      : scores;
    const joined = { op: 'Concat', inputs: [shown, boxes], attributes: { axis: 1 } };
    const both = builder.addMap(0, joined, mapOf(34, stride)).tensor;
    const shape = builder.addConstant(`shape${stride}`, BigInt64Array.of(1n, 34n, -1n), [3]);
    const cells = (SIDE / stride) ** 2;
    return builder.addNode(0, { op: 'Reshape', inputs: [both, shape] }, float([1, 34, cells]));
  });
  const cells = 64 + 16 + 4;
  const all = builder.addNode(
    0,
    { op: 'Concat', inputs: flat, attributes: { axis: 2 } },
    float([1, 34, cells]),
  );
  const turned = { op: 'Transpose', inputs: [all], attributes: { perm: [0, 2, 1] } };
  return builder.build('nanodet', [builder.addNode(0, turned, float([1, cells, 34]))]);
}

/** Three parts of one map of stride 16. */
function fastestdet(ends: readonly ('Conv' | 'Sigmoid' | 'Softmax')[]): Graph {
  const builder = new GraphBuilder();
  const image = builder.addInput('image', [1, 3, SIDE, SIDE]);
  const parts = [1, 4, 2].map((channels, at) => {
    const part = headOf(builder, { image, stride: 16, channels });
    const op = ends[at];
    if (op === undefined || op === 'Conv') return part;
    const attributes = op === 'Softmax' ? { axis: 1 } : {};
    return builder.addMap(0, { op, inputs: [part], attributes }, mapOf(channels, 16)).tensor;
  });
  const joined = { op: 'Concat', inputs: parts, attributes: { axis: 1 } };
  return builder.build('fastestdet', [builder.addMap(0, joined, mapOf(7, 16)).tensor]);
}

/** One plane of the input's size, after two transposed convolutions or a plain one. */
function textDetector(output: string, last: 'Conv' | 'ConvTranspose'): Graph {
  const builder = new GraphBuilder();
  const image = builder.addInput('x', [1, 3, SIDE, SIDE]);
  const stride = last === 'Conv' ? 1 : 4;
  let map = headOf(builder, { image, stride, channels: 1 });
  const attributes = { kernel_shape: [2, 2], strides: [2, 2] };
  for (let side = stride / 2; side >= 1; side /= 2) {
    const weights = builder.addConstant('weights', Float32Array.of(1, -2, 3, -4), [1, 1, 2, 2]);
    map = builder.addMap(
      0,
      { op: 'ConvTranspose', inputs: [map, weights], attributes },
      mapOf(1, side),
    ).tensor;
  }
  const result = builder.addMap(0, { op: 'Sigmoid', inputs: [map] }, mapOf(1, 1)).tensor;
  const graph = builder.build('db', [result]);
  const tensors = graph.tensors.map((tensor, at) => (at === result ? { ...tensor, name: output } : tensor));
  return { ...graph, tensors };
}

interface Head {
  readonly image: number;
  readonly stride: number;
  readonly channels: number;
}

function headOf(builder: GraphBuilder, { image, stride, channels }: Head): number {
  const shape = [channels, 3, stride, stride];
  const values = new Float32Array(channels * 3 * stride * stride).fill(0.01);
  const weights = builder.addConstant(`weights${stride}x${channels}`, values, shape);
  const attributes = { kernel_shape: [stride, stride], strides: [stride, stride] };
  return builder.addMap(0, { op: 'Conv', inputs: [image, weights], attributes }, mapOf(channels, stride))
    .tensor;
}

function mapOf(channels: number, stride: number) {
  return { channels, rows: SIDE / stride, cols: SIDE / stride };
}

function float(shape: readonly number[]) {
  return { dtype: 'float32', shape } as const;
}

/** The decoder that an import of a graph with metadata chooses. */
async function importedDecoder(
  context: TestContext,
  graph: Graph,
  metadata: Readonly<Record<string, string>>,
): Promise<Decoder> {
  const folder = temporaryFolder(context);
  const model = fromBinary(ModelProtoSchema, writeOnnx(graph));
  for (const [key, value] of Object.entries(metadata))
    model.metadataProps.push(create(StringStringEntryProtoSchema, { key, value }));
  const file = join(folder, 'net.onnx');
  writeFileSync(file, toBinary(ModelProtoSchema, model));
  const { code, stdout, stderr } = runMafat(
    join(folder, 'models'),
    ...['model', 'import', file, '--no-check', '--json'],
  );
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as { readonly decoder: Decoder }).decoder;
}
