import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Session } from '../../agent/engine/onnx-runtime.js';
import type { Attribute, DarknetNetwork, Graph, Node } from '../../shared/index.js';
import {
  buildDarknet,
  constantNumbers,
  mulberry32,
  parseDarknetConfig,
  parseOnnx,
  SyntheticWeights,
  tensorAt,
  writeOnnx,
} from '../../shared/index.js';

test('buildDarknet() gives the image the size of [net], or the one asked for', () => {
  const sections = parseDarknetConfig(config('4x32x24', '[dropout]', '[convolutional]'));
  const weights = new SyntheticWeights(1);
  const sized = buildDarknet(sections, { weights, size: { width: 64, height: 48 } });
  assert.deepEqual(inputShape(buildDarknet(sections, { weights }).graph), [1, 4, 24, 32]);
  assert.deepEqual(inputShape(sized.graph), [1, 4, 48, 64]);
  assert.deepEqual(outputShape(sized.graph), [1, 1, 48, 64]);
});

test('buildDarknet() makes a Conv of [convolutional]', () => {
  const { graph } = network('3x32x24', '[convolutional] filters=8 size=3 stride=2 pad=1 activation=linear');
  const [conv] = graph.nodes;
  assert.deepEqual(outputShape(graph), [1, 8, 12, 16]);
  assert.deepEqual(attributesOf(conv), {
    kernel_shape: [3, 3],
    strides: [2, 2],
    dilations: [1, 1],
    pads: [1, 1, 1, 1],
    group: 1,
  });
  assert.deepEqual(tensorAt(graph, conv?.inputs[1] ?? -1).shape, [8, 3, 3, 3]);
  assert.deepEqual(tensorAt(graph, conv?.inputs[2] ?? -1).shape, [8]);
});

test('buildDarknet() reads the window of [convolutional]', () => {
  const cases = [
    ['size=3', [1, 1, 22, 30]],
    ['size=3 padding=2', [1, 1, 26, 34]],
    ['size=5 pad=1', [1, 1, 24, 32]],
    ['size=2 pad=1', [1, 1, 25, 33]],
    ['size=3 pad=1 padding=7', [1, 1, 24, 32]],
    ['size=3 pad=1 dilation=2', [1, 1, 24, 32]],
    ['size=1 dilation=4', [1, 1, 24, 32]],
    ['size=3 pad=1 stride_x=2', [1, 1, 24, 16]],
    ['size=3 pad=1 stride=4 stride_y=2', [1, 1, 12, 8]],
  ] as const;
  for (const [keys, shape] of cases) {
    assert.deepEqual(outputShape(network('3x32x24', `[convolutional] ${keys}`).graph), shape, keys);
  }
});

test('buildDarknet() asks for the weights of one group of [convolutional]', () => {
  const { graph } = network('6x8x8', '[convolutional] filters=4 size=3 groups=2 activation=linear');
  assert.deepEqual(tensorAt(graph, graph.nodes[0]?.inputs[1] ?? -1).shape, [4, 3, 3, 3]);
  assert.equal(attributesOf(graph.nodes[0]).group, 2);
  assertFails(['6x8x8', '[convolutional] filters=4 groups=4'], {
    layer: 0,
    key: 'groups=4',
    expected: /a divisor of 6 channels and 4 filters/,
  });
});

test('buildDarknet() applies the activation', () => {
  const cases = [
    ['linear', []],
    ['leaky', ['LeakyRelu']],
    ['relu', ['Relu']],
    ['relu6', ['Clip']],
    ['logistic', ['Sigmoid']],
    ['mish', ['Softplus', 'Tanh', 'Mul']],
    ['swish', ['Sigmoid', 'Mul']],
  ] as const;
  for (const [activation, ops] of cases) {
    const { graph } = network('3x8x8', `[convolutional] activation=${activation}`);
    assert.deepEqual(opsOf(graph), ['Conv', ...ops], activation);
    assert.deepEqual(outputShape(graph), [1, 1, 8, 8]);
  }
});

test('buildDarknet() defaults to logistic convolutions and linear shortcuts', () => {
  const { graph } = network('1x8x8', '[convolutional]', '[dropout]', '[shortcut] from=-2');
  assert.deepEqual(opsOf(graph), ['Conv', 'Sigmoid', 'Add']);
});

test('buildDarknet() keeps the slope of leaky activations at 0.1', () => {
  const { graph } = network('3x8x8', '[convolutional] activation=leaky');
  assert.deepEqual(attributesOf(graph.nodes[1]), { alpha: 0.1 });
});

test('buildDarknet() names layer, line and key when the activation is unknown', () => {
  assertFails(['3x8x8', '[convolutional]', '[convolutional] size=3 activation=gelu'], {
    layer: 1,
    key: 'activation=gelu',
    expected: /expected one of linear, leaky/,
  });
});

test('buildDarknet() pads [maxpool] by size - 1, the smaller half before the map', () => {
  const cases = [
    ['size=2 stride=2', [1, 3, 12, 16], [0, 0, 1, 1]],
    ['size=2 stride=1', [1, 3, 24, 32], [0, 0, 1, 1]],
    ['size=3 stride=2', [1, 3, 12, 16], [1, 1, 1, 1]],
    ['size=5', [1, 3, 24, 32], [2, 2, 2, 2]],
    ['size=4 stride=1', [1, 3, 24, 32], [1, 1, 2, 2]],
    ['stride=2', [1, 3, 12, 16], [0, 0, 1, 1]],
    ['size=2 stride=2 padding=0', [1, 3, 12, 16], [0, 0, 0, 0]],
    ['size=3 stride_x=1 stride_y=2 padding=0', [1, 3, 11, 30], [0, 0, 0, 0]],
  ] as const;
  for (const [keys, shape, pads] of cases) {
    const { graph } = network('3x32x24', `[maxpool] ${keys}`);
    assert.deepEqual(outputShape(graph), shape, keys);
    assert.deepEqual(attributesOf(graph.nodes[0]).pads, pads, keys);
  }
});

test('buildDarknet() fails when [maxpool] pads more than its window', () => {
  assertFails(['3x8x8', '[maxpool] size=2 padding=3'], {
    layer: 0,
    key: 'padding=3',
    expected: /expected less than 3/,
  });
});

test("buildDarknet() pools as Darknet's forward_maxpool_layer() does", async () => {
  const pools = fc.record({
    size: fc.integer({ min: 1, max: 5 }),
    stride: fc.integer({ min: 1, max: 3 }),
    width: fc.integer({ min: 5, max: 12 }),
    height: fc.integer({ min: 5, max: 12 }),
  });
  await fc.assert(
    fc.asyncProperty(pools, async ({ size, stride, width, height }) => {
      const { graph } = network(`2x${width}x${height}`, `[maxpool] size=${size} stride=${stride}`);
      const image = noise(2 * width * height);
      const naive = naiveMaxPool({ values: image, channels: 2, width, height }, { size, stride });
      assert.deepEqual(await run(graph, image), naive);
    }),
    { numRuns: 40 },
  );
});

test('buildDarknet() averages the whole map of each channel in [avgpool]', () => {
  const { graph } = network('5x32x24', '[avgpool]');
  assert.deepEqual(opsOf(graph), ['GlobalAveragePool']);
  assert.deepEqual(outputShape(graph), [1, 5, 1, 1]);
});

test('buildDarknet() makes no node of [dropout] and of a [route] to one layer', () => {
  const { graph } = network('3x8x8', '[convolutional]', '[dropout] probability=.5', '[route] layers=0');
  assert.deepEqual(opsOf(graph), ['Conv', 'Sigmoid']);
  assert.deepEqual(outputShape(graph), [1, 1, 8, 8]);
});

test('buildDarknet() concatenates the layers of [route], counted from the start or backwards', () => {
  const layers = ['[convolutional] filters=2', '[convolutional] filters=3', '[convolutional] filters=4'];
  for (const [list, channels] of [
    ['0,1', 5],
    ['-1,-3', 6],
    ['2, -2, 0', 9],
  ] as const) {
    const { graph } = network('3x8x8', ...layers, `[route] layers=${list}`);
    assert.deepEqual(outputShape(graph), [1, channels, 8, 8], list);
    assert.equal(opsOf(graph).at(-1), 'Concat');
  }
});

test('buildDarknet() takes a group of channels in [route]', () => {
  const { graph } = network(
    '3x8x8',
    '[convolutional] filters=6',
    '[route] layers=-1 groups=3 group_id=2',
    '[convolutional] filters=5',
  );
  const slice = graph.nodes.find(({ op }) => op === 'Slice');
  const [starts, ends, axes] = (slice?.inputs ?? []).slice(1).map((index) => constantNumbers(graph, index));
  assert.deepEqual([starts, ends, axes], [[4], [6], [1]]);
  assert.deepEqual(tensorAt(graph, slice?.outputs[0] ?? -1).shape, [1, 2, 8, 8]);
});

test('buildDarknet() names layer, line and key when a [route] leads nowhere', () => {
  const conv = '[convolutional] filters=6';
  const cases = [
    ['layers=1', 'layers=1', /layers before 1/],
    ['layers=-2', 'layers=-2', /layers before 1/],
    ['layers=0,x', 'layers=0,x', /numbers separated by commas/],
    ['layers=0 groups=4', 'groups=4', /a divisor of 6 channels/],
    ['layers=0 groups=2 group_id=2', 'groups=2', /above group_id=2/],
  ] as const;
  for (const [keys, key, expected] of cases) {
    assertFails(['3x8x8', conv, `[route] ${keys}`], { layer: 1, key, expected });
  }
  assert.throws(() => network('3x8x8', conv, '[route]'), /layer 1 \[route\] .*expected at least one layer/);
});

test('buildDarknet() fails when [route] joins maps of different sizes', () => {
  assertFails(['3x32x24', '[convolutional]', '[maxpool] size=2 stride=2', '[route] layers=0,1'], {
    layer: 2,
    key: 'layers=0,1',
    expected: /layers of the same size, these are 32x24, 16x12/,
  });
});

test('buildDarknet() adds the layers of [shortcut] and activates the sum', () => {
  const { graph } = network(
    '3x8x8',
    '[convolutional] filters=4 activation=linear',
    '[convolutional] filters=4 activation=linear',
    '[convolutional] filters=4 activation=linear',
    '[shortcut] from=-2,0 activation=leaky',
  );
  assert.deepEqual(opsOf(graph), ['Conv', 'Conv', 'Conv', 'Add', 'Add', 'LeakyRelu']);
  assert.deepEqual(outputShape(graph), [1, 4, 8, 8]);
});

test("buildDarknet() adds layers of other sizes and channels as Darknet's shortcut_cpu() does", async () => {
  const shortcuts = fc.record({
    outSize: fc.integer({ min: 2, max: 6 }),
    stride: fc.integer({ min: 1, max: 3 }),
    from: fc.integer({ min: 1, max: 4 }),
    to: fc.integer({ min: 1, max: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(shortcuts, async ({ outSize, stride, from, to }) => {
      const size = outSize * stride;
      const { graph } = network(
        `${from}x${size}x${size}`,
        '[dropout]',
        `[convolutional] filters=${to} stride=${stride} activation=linear`,
        '[shortcut] from=0',
      );
      const image = noise(from * size * size);
      const out = await run({ ...graph, outputs: [graph.nodes[0]?.outputs[0] ?? -1] }, image);
      naiveShortcut(
        { values: image, channels: from, width: size, height: size },
        { values: out, channels: to, width: outSize, height: outSize },
      );
      assert.deepEqual(await run(graph, image), out);
    }),
    { numRuns: 40 },
  );
});

test('buildDarknet() names layer, line and key when a [shortcut] does not fit', () => {
  const larger = ['3x8x8', '[maxpool] size=2 stride=2', '[upsample] stride=2', '[shortcut] from=0'] as const;
  assertFails(larger, { layer: 2, key: 'from=0', expected: /no smaller than 8x8, it is 4x4/ });
  const odd = ['3x9x9', '[dropout]', '[convolutional] stride=2 size=3', '[shortcut] from=0'] as const;
  assertFails(odd, { layer: 2, key: 'from=0', expected: /multiple of 4x4/ });
  assertFails(['3x8x8', '[convolutional]', '[shortcut] from=5'], {
    layer: 1,
    key: 'from=5',
    expected: /layers before 1/,
  });
  assert.throws(() => network('3x8x8', '[convolutional]', '[shortcut]'), /layer 1 .*expected a layer/);
});

test('buildDarknet() repeats pixels in [upsample]', async () => {
  const { graph } = network('1x2x2', '[upsample] stride=2');
  const values = await run(graph, Float32Array.of(1, 2, 3, 4));
  assert.deepEqual(outputShape(graph), [1, 1, 4, 4]);
  assert.deepEqual([...values], [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
  assert.deepEqual(outputShape(network('1x2x2', '[upsample]').graph), [1, 1, 4, 4]);
});

test("buildDarknet() moves pixels in [reorg] as Darknet's reorg_cpu() does", async () => {
  const reorgs = fc.record({
    stride: fc.integer({ min: 1, max: 3 }),
    width: fc.integer({ min: 1, max: 4 }),
    height: fc.integer({ min: 1, max: 4 }),
    channels: fc.integer({ min: 1, max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(reorgs, async ({ stride, ...sizes }) => {
      const [channels, width, height] = [
        sizes.channels * stride ** 2,
        sizes.width * stride,
        sizes.height * stride,
      ];
      const { graph } = network(`${channels}x${width}x${height}`, `[reorg] stride=${stride}`);
      const image = noise(channels * width * height);
      assert.deepEqual(outputShape(graph), [1, channels * stride ** 2, height / stride, width / stride]);
      assert.deepEqual(
        await run(graph, image),
        naiveReorg({ values: image, channels, width, height }, stride),
      );
    }),
    { numRuns: 40 },
  );
});

test('buildDarknet() fails when the stride of [reorg] does not divide the map', () => {
  for (const size of ['4x7x8', '4x8x7', '6x8x8']) {
    assertFails([size, '[reorg] stride=2'], { layer: 0, key: 'stride=2', expected: /a stride whose square/ });
  }
});

test('buildDarknet() ends in class probabilities when [softmax] is last', () => {
  const classifier = network('3x8x8', '[convolutional] filters=10', '[avgpool]', '[softmax] groups=1');
  assert.equal(classifier.classifies, true);
  assert.deepEqual(outputShape(classifier.graph), [1, 10]);
  assert.throws(
    () => network('3x8x8', '[softmax]', '[dropout]'),
    /layer 0 \[softmax\].*to be the last layer/,
  );
  assertFails(['3x8x8', '[softmax] groups=2'], { layer: 0, key: 'groups=2', expected: /expected 1/ });
  assertFails(['3x8x8', '[softmax] temperature=2'], {
    layer: 0,
    key: 'temperature=2',
    expected: /expected 1/,
  });
});

test('buildDarknet() reads anchors of [region] in cells of its map', () => {
  const { heads, graph } = network(
    '3x32x16',
    '[maxpool] size=2 stride=2',
    '[convolutional] filters=14',
    '[region] anchors=4,2, 8,8 num=2 classes=2 softmax=1 jitter=.2',
  );
  assert.deepEqual(heads, [
    {
      kind: 'region',
      output: tensorAt(graph, graph.outputs[0] ?? -1).name,
      classes: 2,
      anchors: [
        { width: 0.25, height: 0.25 },
        { width: 0.5, height: 1 },
      ],
      scaleXY: 1,
      softmax: true,
      newCoords: false,
    },
  ]);
});

test('buildDarknet() reads the anchors of [yolo] that its mask picks in pixels of the input', () => {
  const { heads, graph } = network(
    '3x32x16',
    '[convolutional] filters=14',
    '[yolo] mask=2,0 anchors=8,4, 1,1, 16,16 num=3 classes=2 scale_x_y=1.1',
    '[convolutional] filters=7 stride=2',
    '[yolo] mask=1 anchors=8,4, 1,1, 16,16 num=3 classes=2 new_coords=1',
  );
  assert.equal(graph.outputs.length, 2);
  assert.deepEqual(
    heads.map(({ output }) => output),
    graph.outputs.map((index) => tensorAt(graph, index).name),
  );
  assert.deepEqual(heads[0]?.anchors, [
    { width: 0.5, height: 1 },
    { width: 0.25, height: 0.25 },
  ]);
  assert.deepEqual(heads[1]?.anchors, [{ width: 1 / 32, height: 1 / 16 }]);
  assert.deepEqual(
    heads.map(({ scaleXY, newCoords, softmax }) => [scaleXY, newCoords, softmax]),
    [
      [1.1, false, false],
      [1, true, false],
    ],
  );
});

test('buildDarknet() names layer, line and key when a head does not fit', () => {
  const conv = '[convolutional] filters=7';
  const cases = [
    ['[yolo] anchors=1,1 classes=3', 'classes=3', /8 channels for 1 anchors, the layer before has 7/],
    ['[yolo] anchors=1,1,2 classes=2', 'anchors=1,1,2', /2 numbers for num=1/],
    ['[yolo] anchors=1,1 classes=2 mask=1', 'mask=1', /anchors from 0 to 0/],
    ['[region] anchors=1,1 classes=2 background=1', 'background=1', /expected 0/],
    ['[region] anchors=1,1 classes=0', 'classes=0', /a whole number from 1/],
  ] as const;
  for (const [head, key, expected] of cases) {
    assertFails(['3x8x8', conv, head], { layer: 1, key, expected });
  }
});

test('buildDarknet() outputs the last layer when there is no head', () => {
  const { graph, heads } = network('3x8x8', '[convolutional] filters=2', '[convolutional] filters=4');
  assert.deepEqual([heads, outputShape(graph)], [[], [1, 4, 8, 8]]);
});

test('buildDarknet() numbers nodes by their Darknet layer', () => {
  const { graph } = network('3x8x8', '[convolutional] activation=mish', '[dropout]', '[maxpool] size=2');
  assert.deepEqual(
    graph.nodes.map(({ layer }) => layer),
    [0, 0, 0, 0, 2],
  );
});

test('buildDarknet() says whether Darknet would keep the aspect ratio', () => {
  assert.equal(network('3x8x8', '[dropout]').letterbox, false);
  const sections = parseDarknetConfig('[net]\nwidth=8\nheight=8\nletter_box=1\n[convolutional]\n');
  assert.equal(buildDarknet(sections, { weights: new SyntheticWeights(1) }).letterbox, true);
});

test('buildDarknet() ignores keys of training and refuses unknown ones', () => {
  assert.doesNotThrow(() => network('3x8x8', '[convolutional] stopbackward=1 learning_rate=.1'));
  assertFails(['3x8x8', '[convolutional] size=3 sise=3'], {
    layer: 0,
    key: 'sise=3',
    expected: /known keys are batch_normalize, filters/,
  });
});

test('buildDarknet() accepts a key that changes the result only where it is off', () => {
  for (const off of ['xnor=0', 'binary=0', 'antialiasing=0', 'flipped=0.0']) {
    assert.doesNotThrow(() => network('3x8x8', `[convolutional] ${off}`), off);
  }
  assertFails(['3x8x8', '[convolutional] xnor=1'], {
    layer: 0,
    key: 'xnor=1',
    expected: /only xnor=0 is supported/,
  });
  assertFails(['3x8x8', '[convolutional]', '[shortcut] from=0 weights_type=per_channel'], {
    layer: 1,
    key: 'weights_type=per_channel',
    expected: /only weights_type=none is supported/,
  });
});

test('buildDarknet() fails when a section is unknown or no layer', () => {
  assert.throws(() => network('3x8x8', '[gru]'), {
    name: 'SyntaxError',
    message: /Cannot import layer 0 \[gru\] at line 5: unknown section, expected one of net, convolutional/,
  });
  assert.throws(() => network('3x8x8', '[net]'), /layer 0 \[net\] at line 5: not a layer/);
  assert.throws(() => network('3x8x8'), /it has no layers/);
});

test('buildDarknet() fails when [net] has no size', () => {
  const sections = parseDarknetConfig('[net]\nwidth=8\n[convolutional]\n');
  assert.throws(() => buildDarknet(sections, { weights: new SyntheticWeights(1) }), {
    name: 'SyntaxError',
    message: /\[net\] at line 1: height=, expected a whole number from 1/,
  });
});

test('buildDarknet() names the layer whose map would be empty', () => {
  assert.throws(() => network('3x4x4', '[maxpool] stride=2', '[convolutional] size=3'), {
    name: 'SyntaxError',
    message: /layer 1 \[convolutional\] at line 7: its map would be 0x0.*larger input than 4x4/,
  });
});

test('buildDarknet() gives a graph that writeOnnx() can write', () => {
  const { graph } = network(
    '4x8x8',
    '[convolutional] filters=4 activation=relu6',
    '[reorg] stride=2',
    '[upsample]',
    '[route] layers=-1,0',
    '[route] layers=-1 groups=2 group_id=1',
    '[convolutional] filters=6 activation=mish',
    '[shortcut] from=0 activation=swish',
    '[avgpool]',
    '[softmax]',
  );
  assert.deepEqual(opsOf(parseOnnx(writeOnnx(graph))), opsOf(graph));
});

/** `3x32x24` is channels, width and height; a layer is its section and its keys. */
function network(size: string, ...layers: readonly string[]): DarknetNetwork {
  const sections = parseDarknetConfig(config(size, ...layers));
  return buildDarknet(sections, { weights: new SyntheticWeights(1) });
}

/** One key a line; layers start at line 5. */
function config(size: string, ...layers: readonly string[]): string {
  const [channels, width, height] = size.split('x');
  const net = `[net]\nchannels=${channels}\nwidth=${width}\nheight=${height}`;
  return [net, ...layers.map((layer) => layer.replaceAll(/(,) +/g, '$1').replaceAll(' ', '\n'))].join('\n');
}

/** Asserts that the error names the layer with its line, and the key with its line. */
function assertFails(
  [size, ...layers]: readonly [string, ...string[]],
  { layer, key, expected }: { layer: number; key: string; expected: RegExp },
): void {
  const lines = config(size, ...layers).split('\n');
  const sections = lines.flatMap((line, at) => (line.startsWith('[') ? [at + 1] : []));
  const keyLine = lines.lastIndexOf(key) + 1;
  assert.ok(keyLine > 0, `no line ${key}`);
  assert.throws(
    () => network(size, ...layers),
    (error: unknown) => {
      assert.ok(error instanceof SyntaxError);
      const section = (layers[layer] ?? '').split(' ')[0];
      assert.ok(
        error.message.includes(`layer ${layer} ${section} at line ${sections[layer + 1]}`),
        error.message,
      );
      assert.ok(error.message.includes(key), error.message);
      assert.ok(error.message.includes(`(line ${keyLine})`), error.message);
      assert.match(error.message, expected);
      return true;
    },
  );
}

function opsOf(graph: Graph): readonly string[] {
  return graph.nodes.map(({ op }) => op);
}

function inputShape(graph: Graph): readonly number[] | null {
  return tensorAt(graph, graph.inputs[0] ?? -1).shape;
}

function outputShape(graph: Graph): readonly number[] | null {
  return tensorAt(graph, graph.outputs[0] ?? -1).shape;
}

function attributesOf(node: Node | undefined): Readonly<Record<string, Attribute['value']>> {
  return Object.fromEntries(Object.entries(node?.attributes ?? {}).map(([name, { value }]) => [name, value]));
}

function noise(length: number): Float32Array {
  const random = mulberry32(length);
  return Float32Array.from({ length }, () => random() * 2 - 1);
}

/** The first output, on ONNX Runtime; its shape must be the one the graph says. */
async function run(graph: Graph, image: Float32Array): Promise<Float32Array> {
  const session = await Session.create(writeOnnx(graph), { folder: '.', level: 'disabled', threads: 1 });
  const shape = inputShape(graph) ?? [];
  const output = tensorAt(graph, graph.outputs[0] ?? -1);
  const results = await session.run({ image: { dtype: 'float32', shape, data: image } });
  const result = results[output.name];
  await session.release();
  assert.deepEqual(result?.shape, output.shape);
  assert.ok(result?.data instanceof Float32Array);
  return result.data;
}

/** Values of one map, channel by channel and row by row. */
interface PlainMap {
  readonly values: Float32Array;
  readonly channels: number;
  readonly width: number;
  readonly height: number;
}

/** Darknet's maxpool_layer.c, forward_maxpool_layer, with its default padding. */
function naiveMaxPool(
  { values, channels, width, height }: PlainMap,
  { size, stride }: { size: number; stride: number },
): Float32Array {
  const padding = size - 1;
  const widthOut = Math.floor((width + padding - size) / stride) + 1;
  const heightOut = Math.floor((height + padding - size) / stride) + 1;
  const offset = Math.trunc(-padding / 2);
  const out = new Float32Array(channels * heightOut * widthOut).fill(Number.NEGATIVE_INFINITY);
  for (let at = 0; at < out.length * size * size; at += 1) {
    const [tap, place] = [at % (size * size), Math.floor(at / (size * size))];
    const [col, row] = [place % widthOut, Math.floor(place / widthOut) % heightOut];
    const channel = Math.floor(place / widthOut / heightOut);
    const x = offset + col * stride + (tap % size);
    const y = offset + row * stride + Math.floor(tap / size);
    if (x < 0 || x >= width || y < 0 || y >= height) continue;
    const value = values[x + width * (y + height * channel)] ?? Number.NaN;
    out[place] = Math.max(out[place] ?? 0, value);
  }
  return out;
}

/** Darknet's blas.c, shortcut_cpu: adds into `out`. */
function naiveShortcut(add: PlainMap, out: PlainMap): void {
  const stride = Math.max(1, Math.floor(add.width / out.width));
  const sample = Math.max(1, Math.floor(out.width / add.width));
  for (let channel = 0; channel < Math.min(add.channels, out.channels); channel += 1) {
    for (let row = 0; row < Math.min(add.height, out.height); row += 1) {
      for (let col = 0; col < Math.min(add.width, out.width); col += 1) {
        const to = col * sample + out.width * (row * sample + out.height * channel);
        const from = col * stride + add.width * (row * stride + add.height * channel);
        out.values[to] = (out.values[to] ?? 0) + (add.values[from] ?? 0);
      }
    }
  }
}

/** Darknet's blas.c, reorg_cpu with forward = 0, which is what forward_reorg_layer calls. */
function naiveReorg({ values, channels, width, height }: PlainMap, stride: number): Float32Array {
  const out = new Float32Array(values.length);
  const channelsOut = channels / stride ** 2;
  for (let at = 0; at < values.length; at += 1) {
    const [col, row] = [at % width, Math.floor(at / width) % height];
    const channel = Math.floor(at / width / height);
    const offset = Math.floor(channel / channelsOut);
    const col2 = col * stride + (offset % stride);
    const row2 = row * stride + Math.floor(offset / stride);
    const to = col2 + width * stride * (row2 + height * stride * (channel % channelsOut));
    out[at] = values[to] ?? Number.NaN;
  }
  return out;
}
