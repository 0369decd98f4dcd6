import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseInferenceRequest, RequestError, salvageEnvelope } from '../../shared/wire/index.js';

const IMAGE = { name: 'image', shape: [1], datatype: 'BYTES', data: ['aGVsbG8='] };

test('parseInferenceRequest() reads an encoded image', () => {
  const request = parse({
    id: '7',
    parameters: { reply_to: 'mafat/clients/c/x', threshold: 0.5, png: true },
    inputs: [IMAGE],
  });
  assert.deepEqual(request, {
    id: '7',
    replyTo: 'mafat/clients/c/x',
    threshold: 0.5,
    png: true,
    input: { kind: 'encoded', name: 'image', bytes: new Uint8Array(Buffer.from('hello')) },
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
      bytes: new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer),
    });
  }
});

test('parseInferenceRequest() stores halves and bytes as the network takes them', () => {
  const read = (datatype: string, data: readonly number[]) => {
    const { input } = parse({ inputs: [{ name: 'x', shape: [data.length], datatype, data }] });
    assert.ok(input.kind === 'tensor');
    return [input.dtype, ...input.bytes];
  };
  assert.deepEqual(read('FP16', [1, -2, 65519]), ['float16', 0x00, 0x3c, 0x00, 0xc0, 0xff, 0x7b]);
  assert.deepEqual(read('UINT8', [0, 255]), ['uint8', 0, 255]);
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
      /"FP99", expected FP32, FP16, UINT8, BYTES/,
    ],
    [{ inputs: [{ ...tensor, data: [1] }] }, 'inputs[0].data', /fewer values, expected 2 for shape \[2\]/],
    [{ inputs: [{ ...tensor, data: [1, 2, 3] }] }, 'inputs[0].data', /more than 2 values/],
    [{ inputs: [{ ...tensor, data: [1, 'a'] }] }, 'inputs[0].data', /element 1 is a text/],
    [{ inputs: [{ ...IMAGE, data: ['%%%%'] }] }, 'inputs[0].data[0]', /not base64/],
    [{ inputs: [{ ...IMAGE, shape: [2] }] }, 'inputs[0].shape', /expected one image/],
    [{ inputs: [IMAGE], outputs: [{ name: 'y' }, { name: 'y' }] }, 'outputs', /comes twice/],
    [{ inputs: [IMAGE], parameters: { reply_to: 5 } }, 'parameters.reply_to', /5, expected a topic/],
    [
      { inputs: [IMAGE], parameters: { threshold: 2 } },
      'parameters.threshold',
      /2, expected a number from 0 to 1/,
    ],
    [{ inputs: [IMAGE], parameters: { png: 1 } }, 'parameters.png', /1, expected true or false/],
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
    ['FP16', 65520],
    ['FP16', -1e6],
    ['FP32', 1e39],
    ['FP32', null],
  ] as const;
  for (const [datatype, value] of cases) {
    const body = { inputs: [{ name: 'x', shape: [2], datatype, data: [1, value] }] };
    assert.throws(() => parse(body), /inputs\[0\]\.data: element 1 is .*, expected a /);
  }
});

test('parseInferenceRequest() refuses what is no JSON, whatever it is', () => {
  assert.throws(() => parseText('{"inputs": ['), /request: not valid JSON/);
  assert.throws(
    () => parseText('{"inputs": [{"data": [1, 2'),
    /request: not valid JSON \(a list has no end\)/,
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      assert.throws(() => parseText(text), RequestError);
    }),
  );
});

test('parseInferenceRequest() reads every list of numbers as JSON.parse does, or refuses it', () => {
  const separator = fc.constantFrom(',', ', ', ' ,\n', ' ', '', ',,', '[', ']', '],[');
  const token = fc.oneof(
    fc.integer().map(String),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e30, max: 1e30 }).map(String),
    fc.constantFrom('01', '1.', '.5', '1e5', '-0', '+1', '1e', '--1', 'null', '"1"', '{}', 'NaN', '1E+2'),
  );
  const text = fc.array(fc.tuple(token, separator), { maxLength: 6 });
  fc.assert(
    fc.property(text, (parts) => {
      const list = `[${parts.map((part) => part.join('')).join('')}]`;
      const expected = numbersOf(list);
      const shape = [expected?.length ?? parts.length];
      const body = `{"inputs": [{"name": "x", "datatype": "FP32", "shape": [${shape}], "data": ${list}}]}`;
      if (expected === undefined) assert.throws(() => parseText(body), RequestError, body);
      else assert.deepEqual(parseText(body).input, tensorOf(shape, expected), body);
    }),
    { numRuns: 2000 },
  );
});

test('parseInferenceRequest() reads base64 as Node does', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
      const { input } = parse({ inputs: [{ ...IMAGE, data: [Buffer.from(bytes).toString('base64')] }] });
      assert.deepEqual(input, { kind: 'encoded', name: 'image', bytes });
    }),
  );
  for (const base64 of ['', 'a', 'ab', 'abc', 'ab=c', '====', 'ab==cd==', 'äöüß', 'ab\\n='])
    assert.throws(
      () => parse({ inputs: [{ ...IMAGE, data: [base64] }] }),
      /data\[0\]: (not base64|empty)|expected one image/,
    );
});

test('parseInferenceRequest() takes the last of two lists, as JSON.parse does, and needs no certain order', () => {
  const { input } = parseText(
    '{"inputs": [{"data": [5], "data" : [ [ 7 ] ], "shape": [1], "datatype": "UINT8", "name": "x"}], "id": "data"}',
  );
  assert.deepEqual(input, { kind: 'tensor', name: 'x', dtype: 'uint8', shape: [1], bytes: Uint8Array.of(7) });
});

test('parseInferenceRequest() allocates by what came, not by what a shape says', () => {
  const body = { inputs: [{ name: 'x', shape: [1e9, 1e9], datatype: 'FP32', data: [1] }] };
  assert.throws(() => parse(body), /inputs\[0\]\.data: fewer values, expected/);
});

test('parseInferenceRequest() refuses much JSON beside the values at once', () => {
  for (const text of ['['.repeat(1e6), '[{},'.repeat(1e6), `{"a": "${'x'.repeat(1e6)}"}`, '"\\"'.repeat(1e6)])
    assert.throws(() => parseText(text), /request: more than 65536 bytes beside the values of tensors/);
  const nested = `{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": ${'['.repeat(1e6)}${']'.repeat(1e6)}}]}`;
  assert.throws(() => parseText(nested), /inputs\[0\]\.data: element 0 is a list/);
});

test('salvageEnvelope() finds id and place of the answer in what is no JSON', () => {
  const text = Buffer.from('{"id": "7", "parameters": {"reply_to": "mafat/clients/c/x"}, "inputs": [');
  assert.deepEqual(salvageEnvelope(text), { id: '7', replyTo: 'mafat/clients/c/x' });
  assert.deepEqual(salvageEnvelope(Buffer.from('[')), {});
});

/** The numbers of a nested list; undefined if it is no such list. */
function numbersOf(list: string): readonly number[] | undefined {
  try {
    const numbers = (JSON.parse(list) as readonly unknown[]).flat(Number.POSITIVE_INFINITY);
    const areAll = numbers.every((value) => typeof value === 'number' && Number.isFinite(Math.fround(value)));
    return areAll ? (numbers as number[]) : undefined;
  } catch {
    return undefined;
  }
}

function tensorOf(shape: readonly number[], values: readonly number[]) {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return { kind: 'tensor', name: 'x', dtype: 'float32', shape, bytes };
}

function parse(body: unknown) {
  return parseText(JSON.stringify(body));
}

function parseText(text: string) {
  const steps = parseInferenceRequest(Buffer.from(text));
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}
