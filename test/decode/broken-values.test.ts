import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DecodeOptions } from './decode-network.js';
import { decodeNetwork, floats } from './decode-network.js';

type Shapes = readonly (readonly [name: string, ...shape: number[]])[];

const STRIDES = [8, 16, 32];

const NETWORKS: Readonly<Record<string, readonly [shapes: Shapes, options?: DecodeOptions]>> = {
  'yolo-maps': [
    STRIDES.map((stride) => [`map${stride}`, 1, 3, 64 / stride, 64 / stride, 7]),
    { isYolov5: true },
  ],
  'dfl-maps': [[['output', 1, 64 + 16 + 4 + 1, 2 + 32]]],
  priors: [
    [
      ['loc', 1, 168, 4],
      ['conf', 1, 168, 2],
      ['landms', 1, 168, 10],
    ],
    { labels: ['face'] },
  ],
  yunet: [
    STRIDES.flatMap((stride): Shapes => {
      const cells = (64 / stride) ** 2;
      return [
        [`cls_${stride}`, 1, cells, 1],
        [`obj_${stride}`, 1, cells, 1],
        [`bbox_${stride}`, 1, cells, 4],
        [`kps_${stride}`, 1, cells, 10],
      ];
    }),
  ],
  fastestdet: [[['output', 1, 7, 4, 4]], { ends: ['sigmoid', 'convolution', 'softmax'] }],
  'text-map': [
    [['sigmoid_0.tmp_0', 1, 1, 64, 64]],
    { labels: ['text'], isPaddle: true, trail: ['Sigmoid', 'ConvTranspose', 'ConvTranspose'] },
  ],
  'heat-map': [
    [
      ['hm', 1, 2, 16, 16],
      ['wh', 1, 2, 16, 16],
      ['reg', 1, 2, 16, 16],
    ],
  ],
};

test('broken values make no boxes that cannot be drawn', () => {
  const broken = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1e30, 1e30];
  for (const [kind, [shapes, options]] of Object.entries(NETWORKS))
    for (const isActivated of [true, false])
      for (const value of broken)
        for (const other of [value, 0.9]) {
          const outputs = shapes.map(([name, ...shape], at) => {
            const length = shape.reduce((product, dim) => product * dim, 1);
            // Scores and boxes are broken, or boxes only.
            const values = Array.from({ length }, (_, index) => ((index + at) % 3 === 0 ? other : value));
            return floats(name, shape, values);
          });
          const { decoder, detections } = decodeNetwork(outputs, {
            ...options,
            activated: () => isActivated,
          });
          assert.equal(decoder.kind, kind);
          for (const { box, confidence } of detections) {
            const numbers = [...Object.values(box), confidence];
            assert.ok(numbers.every(Number.isFinite), `${kind} of ${value}: ${numbers.join()}`);
          }
        }
});
