import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseInferenceRequest, RequestError } from '../../shared/wire/index.js';

const IMAGE = { name: 'image', shape: [1], datatype: 'BYTES', data: ['aGVsbG8='] };

test('parseInferenceRequest() reads an encoded image', () => {
  const request = parse({
    id: '7',
    parameters: { reply_to: 'mafat/clients/c/x', threshold: 0.5 },
    inputs: [IMAGE],
  });
  assert.deepEqual(request, {
    id: '7',
    replyTo: 'mafat/clients/c/x',
    threshold: 0.5,
    input: { kind: 'encoded', name: 'image', base64: 'aGVsbG8=' },
  });
});

test('parseInferenceRequest() reads a tensor, flat or nested', () => {
  const input = { name: 'x', shape: [1, 2, 2], datatype: 'FP32' };
  for (const data of [
    [1, 2, 3, 4],
    [
      [
        [1, 2],
        [3, 4],
      ],
    ],
    [[1, 2], 3, [[4]]],
  ]) {
    const { input: read } = parse({ inputs: [{ ...input, data }], outputs: [{ name: 'y' }] });
    assert.deepEqual(read, {
      kind: 'tensor',
      name: 'x',
      dtype: 'float32',
      shape: [1, 2, 2],
      values: [1, 2, 3, 4],
    });
  }
});

test('parseInferenceRequest() names the field that is wrong', () => {
  const tensor = { name: 'x', shape: [2], datatype: 'FP32', data: [1, 2] };
  const cases: readonly (readonly [unknown, string, RegExp])[] = [
    [{}, 'inputs', /./],
    [{ inputs: [] }, 'inputs', /./],
    [{ inputs: [IMAGE, IMAGE] }, 'inputs', /./],
    [{ inputs: [{ ...tensor, name: 5 }] }, 'inputs[0].name', /./],
    [{ inputs: [{ ...tensor, shape: [-1] }] }, 'inputs[0].shape[0]', /./],
    [
      { inputs: [{ ...tensor, datatype: 'FP99' }] },
      'inputs[0].datatype',
      /"FP99", expected FP32, UINT8, BYTES/,
    ],
    [{ inputs: [{ ...tensor, data: [1] }] }, 'inputs[0].data', /1 values, expected 2 for shape \[2\]/],
    [{ inputs: [{ ...tensor, data: [1, 2, 3] }] }, 'inputs[0].data', /more than 2 values/],
    [{ inputs: [{ ...tensor, data: [1, 'a'] }] }, 'inputs[0].data', /element 1 is string/],
    [{ inputs: [{ ...IMAGE, data: ['%%%%'] }] }, 'inputs[0].data[0]', /not base64/],
    [{ inputs: [{ ...IMAGE, shape: [2] }] }, 'inputs[0].shape', /expected one image/],
    [{ inputs: [IMAGE], outputs: [{ name: 'y' }, { name: 'y' }] }, 'outputs', /comes twice/],
    [{ inputs: [IMAGE], parameters: { reply_to: 5 } }, 'parameters.reply_to', /5, expected a topic/],
    [
      { inputs: [IMAGE], parameters: { threshold: 2 } },
      'parameters.threshold',
      /2, expected a number from 0 to 1/,
    ],
  ];
  for (const [body, field, reason] of cases) {
    assert.throws(
      () => parse(body),
      (error: unknown) =>
        error instanceof RequestError && error.field === field && reason.test(error.message),
      `${JSON.stringify(body)} -> ${field}`,
    );
  }
});

test('parseInferenceRequest() refuses values that their datatype cannot hold', () => {
  const cases = [
    ['UINT8', 300],
    ['UINT8', -1],
    ['UINT8', 0.5],
    ['FP32', 1e39],
    ['FP32', null],
  ] as const;
  for (const [datatype, value] of cases) {
    const body = { inputs: [{ name: 'x', shape: [2], datatype, data: [1, value] }] };
    assert.throws(() => parse(body), /inputs\[0\]\.data: element 1 is .*, expected a /);
  }
});

test('parseInferenceRequest() refuses what is no JSON, whatever it is', () => {
  assert.throws(() => parseInferenceRequest('{"inputs": ['), /request: not valid JSON/);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      assert.throws(() => parseInferenceRequest(text), RequestError);
    }),
  );
});

function parse(body: unknown) {
  return parseInferenceRequest(JSON.stringify(body));
}
