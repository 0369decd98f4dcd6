import assert from 'node:assert/strict';
import { test } from 'node:test';
import { elementAt, GraphBuilder } from '../../shared/graph/index.js';
import type { Level } from '../../shared/predict/index.js';
import { convScratchBytes } from '../../shared/predict/index.js';
import { wholeShapes } from '../../shared/tile/index.js';
import { graphOf } from '../notation.js';

const SLICE = 64 * 1024;

type Row = readonly [graph: string, expected: number, settings?: { level?: Level; threads?: number }];

test('convScratchBytes() is a slice a thread, the im2col matrix of a small map, or nothing', () => {
  const rows: readonly Row[] = [
    ['3x32x32: c8k3p1', SLICE],
    ['3x32x32: c8k3p1', 2 * SLICE, { threads: 2 }],
    ['3x32x32: c8k3p1', SLICE, { level: 'disabled' }],
    ['3x32x32: c8k3p1', 0, { level: 'layout' }],
    ['3x32x32: c8k3p1', 0, { level: 'all' }],
    ['3x32x32: m2s2', 0],
    // A plain 1x1 multiplies the map as it is; with strides or padding it doesn't.
    ['3x32x32: c8k1', 0],
    ['3x32x32: c8k1s2', SLICE],
    ['3x32x32: c8k1p1', SLICE],
    // 16 pixels: the matrix is made for more filters than that, whatever the threads.
    ['3x4x4: c17k3p1', 16 * 27 * 4],
    ['3x4x4: c17k3p1', 16 * 27 * 4, { threads: 2 }],
    ['3x4x4: c16k3p1', SLICE],
    ['3x4x4: c17k1s1p0', 0],
    ['3x8x8: c17k1s2', 16 * 3 * 4],
    // Filters are counted by group: 17 and 16 a group.
    ['4x4x4: c34k3p1g2', 16 * 18 * 4],
    ['4x4x4: c32k3p1g2', SLICE],
    ['32x4x4: c32k3p1g32', SLICE],
  ];
  for (const [notation, expected, settings] of rows) {
    assert.equal(scratchOf(notation, settings), expected, `${notation} ${JSON.stringify(settings)}`);
  }
});

test('convScratchBytes() goes by the shapes of the step', () => {
  const graph = graphOf('3x32x32: c17k3p1');
  const whole = wholeShapes(graph);
  const [node] = graph.nodes;
  assert.ok(node);
  const shapeOf = (tensor: number) => {
    const shape = whole(tensor);
    return tensor === node.outputs[0] ? [...shape.slice(0, 2), 2, 8] : shape;
  };
  const step = { shapeOf, level: 'extended', threads: 1 } as const;
  assert.equal(convScratchBytes(graph, node, step), 16 * 27 * 4);
  assert.equal(convScratchBytes(graph, node, { ...step, allocator: 'jemalloc' }), 1.6 * 16 * 27 * 4);
});

test('convScratchBytes() of a ConvTranspose is the matrix of all its products', () => {
  const builder = new GraphBuilder();
  const map = builder.addInput('map', [1, 8, 8, 8]);
  const weights = builder.addConstant('weights', new Float32Array(8 * 4 * 2 * 2), [8, 4, 2, 2]);
  const attributes = { strides: [2, 2], kernel_shape: [2, 2] };
  const spec = { op: 'ConvTranspose', inputs: [map, weights], attributes };
  const output = builder.addNode(0, spec, { dtype: 'float32', shape: [1, 4, 16, 16] });
  const graph = builder.build('transpose', [output]);
  const step = { shapeOf: wholeShapes(graph), level: 'all', threads: 1 } as const;
  assert.equal(convScratchBytes(graph, elementAt(graph.nodes, 0), step), 4 * 64 * (4 * 2 * 2));
});

function scratchOf(notation: string, { level = 'extended', threads = 1 }: Row[2] = {}): number {
  const graph = graphOf(notation);
  const node = elementAt(graph.nodes, 0);
  return convScratchBytes(graph, node, { shapeOf: wholeShapes(graph), level, threads });
}
