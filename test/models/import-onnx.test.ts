/** Imports of ONNX files written in the ways of several exporters. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { ExecutorClient } from '../../agent/engine/executor-client.js';
import { importOnnx } from '../../agent/models/import-onnx.js';
import { ModelStore } from '../../agent/models/model-store.js';
import type { Network } from '../../agent/planning/open-model.js';
import { openModel } from '../../agent/planning/open-model.js';
import type { Graph, NodeSpec } from '../../shared/graph/index.js';
import { GraphBuilder, knownShape, tensorAt } from '../../shared/graph/index.js';
import { parseOnnx, writeOnnx } from '../../shared/onnx/index.js';
import { temporaryFolder } from '../fixtures.js';
import { graphOf } from '../notation.js';

test('importOnnx() folds batch normalisation into the convolution before it', async (context) => {
  const builder = new GraphBuilder();
  const image = builder.addInput('image', [1, 3, 8, 8]);
  const weights = builder.addConstant(
    'w',
    Float32Array.from({ length: 12 }, (_, at) => at),
    [4, 3, 1, 1],
  );
  const map = { channels: 4, rows: 8, cols: 8 };
  const conv = builder.addMap(0, { op: 'Conv', inputs: [image, weights] }, map);
  const constant = (name: string) => builder.addConstant(name, Float32Array.of(1, 2, 3, 4), [4]);
  const inputs = [conv.tensor, ...['scale', 'beta', 'mean', 'variance'].map(constant)];
  const norm = builder.addMap(1, { op: 'BatchNormalization', inputs }, map);
  const { graph } = await importGraph(context, builder.build('net', [norm.tensor]));
  assert.deepEqual(
    graph.nodes.map(({ op }) => op),
    ['Conv'],
  );
});

test('importOnnx() computes sizes that the network derives from its input', async (context) => {
  // PyTorch exports interpolate(size=...) like this: Shape -> Slice -> Mul -> Concat -> Resize by sizes.
  const builder = new GraphBuilder();
  const image = builder.addInput('image', [1, 3, 8, 12]);
  const integers = (name: string, ...values: number[]) =>
    builder.addConstant(name, BigInt64Array.from(values.map(BigInt)), [values.length]);
  const vector = (spec: NodeSpec, length: number) =>
    builder.addNode(0, spec, { dtype: 'int64', shape: [length] });
  const shape = vector({ op: 'Shape', inputs: [image] }, 4);
  const space = vector({ op: 'Slice', inputs: [shape, integers('from', 2), integers('to', 4)] }, 2);
  const twice = vector({ op: 'Mul', inputs: [space, integers('two', 2, 2)] }, 2);
  const head = integers('head', 1, 3);
  const sizes = vector({ op: 'Concat', inputs: [head, twice], attributes: { axis: 0 } }, 4);
  const spec = { op: 'Resize', inputs: [image, -1, -1, sizes], attributes: { mode: 'nearest' } };
  const resized = builder.addMap(0, spec, { channels: 3, rows: 16, cols: 24 });
  const network = await importGraph(context, builder.build('net', [resized.tensor]), {
    width: 20,
    height: 10,
  });
  assert.deepEqual(
    network.graph.nodes.map(({ op }) => op),
    ['Resize'],
  );
  assert.deepEqual(outputShape(network.graph), [1, 3, 20, 40]);
});

test('importOnnx() gives pools that drop their last window the size they really have', async (context) => {
  const graph = graphOf('3x40x40: m2s2p0.0.1.1^ c4k1');
  const unshaped = {
    ...graph,
    tensors: graph.tensors.map((tensor) => (tensor.name === 'image' ? tensor : forget(tensor))),
  };
  const network = await importGraph(context, unshaped);
  assert.deepEqual(outputShape(network.graph), [1, 4, 20, 20]);
});

test('importOnnx() reads scores of classes, and knows whether they are probabilities', async (context) => {
  for (const [ops, softmax] of [
    [['Flatten'], true],
    [['Flatten', 'Softmax'], false],
    [['Flatten', 'Softmax', 'Identity'], false],
    [['Flatten', 'Sigmoid'], false],
    [['Flatten', 'LogSoftmax'], true],
  ] as const) {
    const { manifest } = await importGraph(context, classifier(ops));
    assert.equal(manifest.decoder.kind === 'classes' && manifest.decoder.softmax, softmax, ops.join(' '));
  }
});

test('importOnnx() refuses outputs that no image has a part in', async (context) => {
  const builder = new GraphBuilder();
  const image = builder.addInput('image', [1, 3, 8, 8]);
  const relu = builder.addMap(0, { op: 'Relu', inputs: [image] }, { channels: 3, rows: 8, cols: 8 });
  const fixed = builder.addConstant('anchors', Float32Array.of(1, 2), [2]);
  await assert.rejects(
    importGraph(context, builder.build('net', [relu.tensor, fixed])),
    /"anchors" doesn't depend/,
  );
});

test('importOnnx() refuses tensors that nothing could hold', async (context) => {
  const graph = graphOf('3x8x8: r');
  await assert.rejects(
    importGraph(context, graph, { width: 65536, height: 65536 }),
    /\[1, 3, 65536, 65536\], expected less/,
  );
});

test('importOnnx() refuses a free input size until it is given one', async (context) => {
  const graph = graphOf('3x8x8: c4k3');
  const free = {
    ...graph,
    tensors: graph.tensors.map((tensor) => (tensor.constant === null ? forget(tensor) : tensor)),
  };
  const symbolic = {
    ...free,
    tensors: free.tensors.map((tensor) =>
      tensor.name === 'image' ? { ...tensor, shape: [-1, 3, -1, -1] } : tensor,
    ),
  };
  await assert.rejects(importGraph(context, symbolic), /has no fixed size; give --input WIDTHxHEIGHT/);
  assert.deepEqual(
    outputShape((await importGraph(context, symbolic, { width: 12, height: 10 })).graph),
    [1, 4, 8, 10],
  );
});

test('importOnnx() refuses external data that is no file', async (context) => {
  const folder = temporaryFolder(context);
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  const graph = parseOnnx(writeOnnx(graphOf('3x8x8: c4k3')));
  const tensors = graph.tensors.map((tensor) =>
    tensor.constant === null || tensor.shape?.length !== 4
      ? tensor
      : { ...tensor, constant: { kind: 'external' as const, location: 'pipe', offset: 0, length: 432 } },
  );
  const refused = importFile(context, { folder, bytes: writeOnnx({ ...graph, tensors }) });
  await assert.rejects(refused, /"pipe": not a file/);
});

function forget<T extends { readonly shape: readonly number[] | null; readonly constant: unknown }>(
  tensor: T,
): T {
  return tensor.constant === null ? { ...tensor, shape: null } : tensor;
}

function classifier(ops: readonly string[]): Graph {
  const builder = new GraphBuilder();
  const image = builder.addInput('image', [1, 3, 2, 2]);
  const last = ops.reduce(
    (input, op) =>
      builder.addNode(
        0,
        {
          op,
          inputs: [input],
          attributes: ['Flatten', 'Softmax', 'LogSoftmax'].includes(op) ? { axis: 1 } : {},
        },
        { dtype: 'float32', shape: [1, 12] },
      ),
    image,
  );
  return builder.build('net', [last]);
}

function outputShape(graph: Graph): readonly number[] {
  return knownShape(tensorAt(graph, graph.outputs[0] ?? -1));
}

interface Size {
  readonly width: number;
  readonly height: number;
}

async function importGraph(context: TestContext, graph: Graph, size?: Size): Promise<Network> {
  return importFile(context, {
    folder: temporaryFolder(context),
    bytes: writeOnnx(graph),
    ...(size === undefined ? {} : { size }),
  });
}

async function importFile(
  _context: TestContext,
  { folder, bytes, size }: { folder: string; bytes: Uint8Array; size?: Size },
): Promise<Network> {
  const file = join(folder, 'net.onnx');
  writeFileSync(file, bytes);
  const store = new ModelStore(join(folder, 'models'));
  const runtime = new ExecutorClient();
  await runtime.start();
  try {
    const executor = async () => runtime;
    await importOnnx(file, {
      store,
      executor,
      name: 'net',
      force: false,
      ...(size === undefined ? {} : { input: { size } }),
    });
    return await openModel(store, 'net', { executor });
  } finally {
    await runtime.stop();
  }
}
