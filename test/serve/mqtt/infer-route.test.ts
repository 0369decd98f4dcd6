/** Answers of the network's own tensors, as they go over the wire. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutputTensor } from '../../../agent/engine/wire/protocol.js';
import type { Inference, InferResult } from '../../../agent/serve/infer.js';
import { inferRoute } from '../../../agent/serve/mqtt/requests/infer.js';

test('inferRoute() gives tensors of all types as their numbers', async () => {
  const tensors: readonly OutputTensor[] = [
    { name: 'halves', dtype: 'float16', shape: [3], bytes: bytesOf(Uint16Array.of(0x3c00, 0xc000, 0x7bff)) },
    { name: 'longs', dtype: 'int64', shape: [2], bytes: bytesOf(BigInt64Array.of(-1n, 2n ** 40n)) },
    { name: 'bytes', dtype: 'int8', shape: [1, 2], bytes: bytesOf(Int8Array.of(-128, 127)) },
  ];
  assert.deepEqual(await answerOf({ tensors }), [
    { name: 'halves', shape: [3], datatype: 'FP16', data: [1, -2, 65504] },
    { name: 'longs', shape: [2], datatype: 'INT64', data: [-1, 2 ** 40] },
    { name: 'bytes', shape: [1, 2], datatype: 'INT8', data: [-128, 127] },
  ]);
});

test('inferRoute() gives a class map as shares and runs, and its PNG in base64', async () => {
  const shares = [
    { label: 'road', classId: 0, share: 0.75 },
    { label: 'car', classId: 3, share: 0.25 },
  ];
  const area = { x: 0, y: 10, width: 40, height: 20 };
  const classMap = { width: 4, height: 2, area, runs: [0, 6, 3, 2] };
  const findings = { detections: [], shares, classMap };
  assert.deepEqual(await answerOf({ findings, png: Uint8Array.of(1, 2, 3) }), [
    { name: 'shares', shape: [2], datatype: 'FP32', data: [0.75, 0.25] },
    { name: 'classes', shape: [2], datatype: 'INT64', data: [0, 3] },
    { name: 'labels', shape: [2], datatype: 'BYTES', data: ['road', 'car'] },
    { name: 'map_size', shape: [2], datatype: 'INT64', data: [2, 4] },
    { name: 'map_area', shape: [4], datatype: 'FP32', data: [0, 10, 40, 20] },
    { name: 'runs', shape: [2, 2], datatype: 'INT64', data: [0, 6, 3, 2] },
    { name: 'png', shape: [1], datatype: 'BYTES', data: ['AQID'] },
  ]);
});

test('inferRoute() says how large a picture is that was not asked for', async () => {
  const area = { x: 0, y: 0, width: 40, height: 20 };
  const findings = { detections: [], picture: { width: 80, height: 40, area } };
  assert.deepEqual(await answerOf({ findings }), [
    { name: 'map_size', shape: [2], datatype: 'INT64', data: [40, 80] },
    { name: 'map_area', shape: [4], datatype: 'FP32', data: [0, 0, 40, 20] },
  ]);
});

/** Outputs in the answer to a request for which an inference gives this. */
async function answerOf(given: Partial<InferResult>): Promise<unknown> {
  const infer: Inference['infer'] = async () => ({
    plan: 'whole',
    latencyMs: 1,
    readMs: 1,
    image: { width: 1, height: 1 },
    ...given,
  });
  const sent: string[] = [];
  const { handle } = inferRoute({
    inference: { infer } as Inference,
    filter: 'mafat/node/v2/models/+/infer',
    base: 'mafat',
    maxPayloadBytes: 1e6,
    publish: (_topic, payload) => sent.push(payload),
  });
  const input = { name: 'image', shape: [1], datatype: 'UINT8', data: [1] };
  const payload = Buffer.from(JSON.stringify({ inputs: [input] }));
  const message = {
    topic: 'mafat/node/v2/models/net/infer',
    payload,
    responseTopic: 'mafat/clients/c/answers',
  };
  await handle(message, ['net']);
  assert.equal(sent.length, 1);
  return JSON.parse(sent[0] ?? '').outputs;
}

function bytesOf({ buffer }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer);
}
