/** Answers of the network's own tensors, as they go over the wire. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutputTensor } from '../../../agent/engine/wire/protocol.js';
import type { Inference } from '../../../agent/serve/infer.js';
import { inferRoute } from '../../../agent/serve/mqtt/requests/infer.js';

test('inferRoute() gives tensors of all types as their numbers', async () => {
  const tensors: readonly OutputTensor[] = [
    { name: 'halves', dtype: 'float16', shape: [3], bytes: bytesOf(Uint16Array.of(0x3c00, 0xc000, 0x7bff)) },
    { name: 'longs', dtype: 'int64', shape: [2], bytes: bytesOf(BigInt64Array.of(-1n, 2n ** 40n)) },
    { name: 'bytes', dtype: 'int8', shape: [1, 2], bytes: bytesOf(Int8Array.of(-128, 127)) },
  ];
  assert.deepEqual(await answerOf(tensors), [
    { name: 'halves', shape: [3], datatype: 'FP16', data: [1, -2, 65504] },
    { name: 'longs', shape: [2], datatype: 'INT64', data: [-1, 2 ** 40] },
    { name: 'bytes', shape: [1, 2], datatype: 'INT8', data: [-128, 127] },
  ]);
});

/** Outputs in the answer to a request for which an inference gives these tensors. */
async function answerOf(tensors: readonly OutputTensor[]): Promise<unknown> {
  const infer: Inference['infer'] = async () => ({
    plan: 'whole',
    latencyMs: 1,
    readMs: 1,
    image: { width: 1, height: 1 },
    tensors,
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
