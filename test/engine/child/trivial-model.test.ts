import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TRIVIAL_MODEL } from '../../../agent/engine/child/trivial-model.js';
import { GraphBuilder } from '../../../shared/graph/index.js';
import { writeOnnx } from '../../../shared/onnx/index.js';

test('TRIVIAL_MODEL is what writeOnnx() writes for one Relu', () => {
  const builder = new GraphBuilder();
  const x = builder.addInput('x', [1]);
  const y = builder.addNode(0, { op: 'Relu', inputs: [x] }, { dtype: 'float32', shape: [1] });
  assert.deepEqual(Buffer.from(TRIVIAL_MODEL), Buffer.from(writeOnnx(builder.build('trivial', [y]))));
});
