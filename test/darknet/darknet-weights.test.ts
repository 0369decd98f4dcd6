import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ConvolutionShape } from '../../shared/darknet/index.js';
import { buildDarknet, DarknetWeightsFile, parseDarknetConfig } from '../../shared/darknet/index.js';

const PLAIN: ConvolutionShape = { layer: 0, filters: 2, perFilter: 3, batchNormalize: false };

test('DarknetWeightsFile.take() gives biases before filters', () => {
  const file = new DarknetWeightsFile(weightsFile([1, 2, 3, 4, 5, 6, 7, 8]));
  const { biases, weights } = file.take(PLAIN);
  assert.deepEqual([...biases], [1, 2]);
  assert.deepEqual([...weights], [3, 4, 5, 6, 7, 8]);
  file.end();
});

test('DarknetWeightsFile.take() goes on where the convolution before ended', () => {
  const file = new DarknetWeightsFile(weightsFile([1, 2, 3, 4]));
  file.take({ layer: 0, filters: 1, perFilter: 1, batchNormalize: false });
  const { biases, weights } = file.take({ layer: 2, filters: 1, perFilter: 1, batchNormalize: false });
  assert.deepEqual([biases[0], weights[0]], [3, 4]);
});

test('DarknetWeightsFile() counts images in 32 bits before version 0.2 and in 64 bits from it', () => {
  for (const [major, minor, header] of [
    [0, 0, 16],
    [0, 1, 16],
    [0, 2, 20],
    [0, 5, 20],
    [1, 0, 20],
  ] as const) {
    const bytes = weightsFile([1, 2, 3, 4, 5, 6, 7, 8], { major, minor, header });
    const { biases } = new DarknetWeightsFile(bytes).take(PLAIN);
    assert.deepEqual([...biases], [1, 2], `version ${major}.${minor}`);
  }
});

test('DarknetWeightsFile() reads a file that stands unaligned in a larger buffer', () => {
  const bytes = weightsFile([1, 2, 3, 4, 5, 6, 7, 8]);
  const shifted = new Uint8Array(bytes.byteLength + 1);
  shifted.set(bytes, 1);
  const { weights } = new DarknetWeightsFile(shifted.subarray(1)).take(PLAIN);
  assert.deepEqual([...weights], [3, 4, 5, 6, 7, 8]);
});

test('DarknetWeightsFile() fails when the header is cut off or no version of Darknet', () => {
  assert.throws(
    () => new DarknetWeightsFile(new Uint8Array(19)),
    /the file has 19 bytes, expected a header of 20/,
  );
  const text = new TextEncoder().encode('version https://git-lfs.github.com/spec/v1');
  assert.throws(() => new DarknetWeightsFile(text), {
    name: 'SyntaxError',
    message: /file version is \d+\.\d+, expected 0\.1 or 0\.2/,
  });
});

test('DarknetWeightsFile() fails when the values end within a float', () => {
  const bytes = weightsFile([1, 2]).subarray(0, 27);
  assert.throws(() => new DarknetWeightsFile(bytes), /7 bytes follow the header, expected a multiple of 4/);
});

test('DarknetWeightsFile.take() folds batch normalisation as float64 arithmetic does', () => {
  fc.assert(
    fc.property(normalizedConvolutions, ({ filters, perFilter, ...values }) => {
      const { biases, scales, means, variances, weights } = values;
      const file = new DarknetWeightsFile(
        weightsFile([...biases, ...scales, ...means, ...variances, ...weights]),
      );
      const taken = file.take({ layer: 0, filters, perFilter, batchNormalize: true });
      file.end();
      for (let filter = 0; filter < filters; filter += 1) {
        const factor = valueAt(scales, filter) / Math.sqrt(valueAt(variances, filter) + 1e-5);
        const bias = valueAt(biases, filter) - valueAt(means, filter) * factor;
        assert.equal(taken.biases[filter], Math.fround(bias));
        for (let at = filter * perFilter; at < (filter + 1) * perFilter; at += 1) {
          assert.equal(taken.weights[at], Math.fround(valueAt(weights, at) * factor));
        }
      }
    }),
  );
});

test('DarknetWeightsFile.take() names the layer when one float is missing', () => {
  const file = new DarknetWeightsFile(weightsFile([1, 2, 3, 4, 5, 6, 7]));
  assert.throws(() => file.take({ ...PLAIN, layer: 5 }), {
    name: 'SyntaxError',
    message: 'Cannot read Darknet weights of layer 5 [convolutional]: 7 floats left, expected 8',
  });
});

test('DarknetWeightsFile.end() names the last layer when one float is left over', () => {
  const file = new DarknetWeightsFile(weightsFile([1, 2, 3, 4, 5, 6, 7, 8, 9]));
  file.take({ ...PLAIN, layer: 12 });
  assert.throws(() => file.end(), {
    name: 'SyntaxError',
    message: /1 floats left over after layer 12, the last \[convolutional\]/,
  });
});

test('buildDarknet() takes as many weights as its convolutions have', () => {
  const sections = parseDarknetConfig(
    '[net]\nwidth=8\nheight=8\nchannels=4\n' +
      '[convolutional]\nbatch_normalize=1\nfilters=6\nsize=3\ngroups=2\npad=1\n' +
      '[maxpool]\nsize=2\nstride=2\n[convolutional]\nfilters=5\nsize=1\n',
  );
  const exact = 6 * (2 * 9 + 4) + 5 * (6 + 1);
  const build = (count: number) =>
    buildDarknet(sections, {
      weights: new DarknetWeightsFile(weightsFile(Array.from({ length: count }, () => 1))),
    });
  assert.equal(build(exact).graph.nodes.filter(({ op }) => op === 'Conv').length, 2);
  assert.throws(() => build(exact - 1), /of layer 2 \[convolutional\]: 34 floats left, expected 35/);
  assert.throws(() => build(exact + 1), /1 floats left over after layer 2/);
});

const normalizedConvolutions = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 5 }))
  .chain(([filters, perFilter]) => {
    const floats = (length: number, min: number) =>
      fc.array(fc.float({ min, max: 8, noNaN: true }), { minLength: length, maxLength: length });
    return fc.record({
      filters: fc.constant(filters),
      perFilter: fc.constant(perFilter),
      biases: floats(filters, -8),
      scales: floats(filters, -8),
      means: floats(filters, -8),
      variances: floats(filters, 0),
      weights: floats(filters * perFilter, -8),
    });
  });

function valueAt(values: readonly number[], index: number): number {
  return values[index] ?? Number.NaN;
}

interface Header {
  readonly major: number;
  readonly minor: number;
  readonly header: number;
}

function weightsFile(
  values: readonly number[],
  { major, minor, header }: Header = { major: 0, minor: 2, header: 20 },
): Uint8Array {
  const bytes = new Uint8Array(header + values.length * 4);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, major, true);
  view.setInt32(4, minor, true);
  for (const [at, value] of values.entries()) view.setFloat32(header + at * 4, value, true);
  return bytes;
}
