import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Graph, NodeSpec, Tensor } from '../../shared/graph/index.js';
import { GraphBuilder } from '../../shared/graph/index.js';
import { upgradeOpset } from '../../shared/onnx/index.js';
import { noise, run } from '../graph/run-map.js';

const IMAGE = [1, 3, 8, 6];

test('upgradeOpset() keeps what an operator gives, as ONNX Runtime computes it', async () => {
  const cases: readonly [
    version: number,
    node: Omit<NodeSpec, 'inputs'>,
    shape: number[],
    constants?: number[][],
  ][] = [
    [9, { op: 'Slice', attributes: { starts: [1, 2], ends: [7, -1], axes: [2, 3] } }, [1, 3, 6, 3]],
    [7, { op: 'Slice', attributes: { starts: [0, 1], ends: [1, 9000] } }, [1, 2, 8, 6]],
    [9, { op: 'TopK', attributes: { k: 2, axis: 1 } }, [1, 2, 8, 6]],
    [9, { op: 'Upsample', attributes: { mode: 'nearest' } }, [1, 3, 16, 18], [[1, 1, 2, 3]]],
    [9, { op: 'Upsample', attributes: { mode: 'linear' } }, [1, 3, 16, 12], [[1, 1, 2, 2]]],
    [
      8,
      { op: 'Upsample', attributes: { mode: 'nearest', scales: [1, 1, 2, 2] }, floats: ['scales'] },
      [1, 3, 16, 12],
    ],
    [
      8,
      { op: 'BatchNormalization', attributes: { spatial: 1, epsilon: 0.01 }, floats: ['epsilon'] },
      IMAGE,
      [
        [1, 2, 3],
        [0.1, 0.2, 0.3],
        [1, 0, -1],
        [2, 3, 4],
      ],
    ],
  ];
  for (const [version, spec, shape, constants] of cases) {
    const old = graphOf(version, spec, shape, constants);
    const graph = upgradeOpset(old);
    assert.equal(graph.opsets[''], 10);
    const image = noise(3 * 8 * 6);
    assert.deepEqual(await run(graph, image), await run(old, image), `${spec.op} of version ${version}`);
  }
});

test('upgradeOpset() leaves graphs that it cannot upgrade, and newer ones', () => {
  const relu = { op: 'Relu' };
  const graphs = [
    graphOf(10, relu, IMAGE),
    graphOf(18, relu, IMAGE),
    graphOf(8, { op: 'BatchNormalization', attributes: { spatial: 0 } }, IMAGE),
    graphOf(9, { op: 'Loop' }, IMAGE),
  ];
  for (const graph of graphs) assert.equal(upgradeOpset(graph), graph);
});

function graphOf(
  version: number,
  spec: Omit<NodeSpec, 'inputs'>,
  shape: readonly number[],
  constants: readonly (readonly number[])[] = [],
): Graph {
  const builder = new GraphBuilder();
  const image = builder.addInput('image', IMAGE);
  const inputs = constants.map((values) =>
    builder.addConstant('c', Float32Array.from(values), [values.length]),
  );
  const output = builder.addNode(0, { ...spec, inputs: [image, ...inputs] }, { dtype: 'float32', shape });
  const graph = { ...builder.build('old', [output]), opsets: { '': version } };
  return spec.op === 'TopK' ? withSecondOutput(graph) : graph;
}

/** Indices beside the values. */
function withSecondOutput(graph: Graph): Graph {
  const tensors: Tensor[] = [
    ...graph.tensors,
    { name: 'indices', dtype: 'int64', shape: null, constant: null },
  ];
  const nodes = graph.nodes.map((node) => ({ ...node, outputs: [...node.outputs, tensors.length - 1] }));
  return { ...graph, tensors, nodes };
}
