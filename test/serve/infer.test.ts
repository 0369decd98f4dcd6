import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExecutorError } from '../../agent/engine/executor-client.js';
import type { EngineInput, EngineRun } from '../../agent/engine/inference-engine.js';
import type { JobOptions } from '../../agent/engine/request-queue.js';
import { BusyError, DeadlineError, ShareError, SuspendedError } from '../../agent/engine/request-queue.js';
import { InputError } from '../../agent/engine/wire/input-error.js';
import type { Manifest } from '../../agent/models/manifest.js';
import { ModelChangedError } from '../../agent/models/watch-files.js';
import type { InferRequest, ServedModel } from '../../agent/serve/infer.js';
import { Inference, UnavailableError } from '../../agent/serve/infer.js';
import { RequestError } from '../../shared/wire/index.js';
import { graphOf } from '../notation.js';
import { imageInputOf } from '../run-in-process.js';

const GRAPH = graphOf('3x8x8: c4k3p1');
const [OUTPUT = ''] = GRAPH.outputs.map((index) => GRAPH.tensors[index]?.name);
const INPUT = imageInputOf(GRAPH) as Manifest['input'];

type Decoder = Manifest['decoder'];
const CLASSES: Decoder = { kind: 'classes', output: OUTPUT, topK: 2, softmax: true };

function createModel(decoder: Decoder, changes: Partial<ServedModel> = {}): ServedModel {
  const manifest = { decoder, labels: ['cat', 'dog'], input: INPUT } as unknown as Manifest;
  return {
    network: { manifest, input: INPUT, graph: GRAPH },
    plan: {},
    pressure: 'ok',
    threshold: undefined,
    ...changes,
  };
}

interface Asked {
  readonly name: string;
  readonly input: EngineInput;
  readonly job: JobOptions;
}

/** A runner that answers each input with zeros, or fails. */
function createInference(model: ServedModel, fault?: Error) {
  const asked: Asked[] = [];
  const values = new Float32Array(4 * 8 * 8);
  values[1] = 3;
  const run = {
    image: { width: 8, height: 8 },
    latencyMs: 5,
    readMs: 2,
    plan: { notation: 'whole' },
    outputs: [{ name: OUTPUT, dtype: 'float32', shape: [1, 4, 8, 8], bytes: new Uint8Array(values.buffer) }],
  } as unknown as EngineRun;
  const engine = {
    infer: async (name: string, input: EngineInput, job: JobOptions) => {
      asked.push({ name, input, job });
      if (fault !== undefined) throw fault;
      return run;
    },
  };
  const failures = [{ name: 'gone', reason: 'its files are gone' }];
  const models = {
    names: ['net', 'gone'],
    failures,
    get: (name: string) => (name === 'net' ? model : undefined),
  };
  const faults: unknown[] = [];
  const onFault = (error: unknown) => faults.push(error);
  return { inference: new Inference({ engine, models, onFault }), asked, faults };
}

const REQUEST: InferRequest = {
  model: 'net',
  input: { kind: 'bytes', name: 'picture', bytes: new Uint8Array(3) },
  job: { kind: 'request' },
};

const refuses = async (work: Promise<unknown>, status: number, text: RegExp) => {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof RequestError, String(error));
    assert.match(error.message, text);
    assert.equal(error.status, status);
    return true;
  });
};

test('Inference gives findings, with the plan that ran', async () => {
  const { inference, asked } = createInference(createModel(CLASSES));
  const { findings, tensors, plan, latencyMs } = await inference.infer(REQUEST);
  assert.equal(findings?.classes?.[0]?.classId, 1);
  assert.equal(findings?.classes?.[0]?.label, 'dog');
  assert.deepEqual([tensors, plan, latencyMs], [undefined, 'whole', 5]);
  assert.deepEqual(asked[0]?.input.source, REQUEST.input);
});

test('Inference gives the tensors that were asked for by name', async () => {
  const { inference } = createInference(createModel(CLASSES));
  const { findings, tensors } = await inference.infer({ ...REQUEST, outputs: [OUTPUT] });
  assert.equal(findings, undefined);
  assert.deepEqual(
    tensors?.map(({ name, shape }) => [name, shape]),
    [[OUTPUT, [1, 4, 8, 8]]],
  );
});

const CLASS_MAP: Decoder = { kind: 'class-map', output: OUTPUT, form: 'scores', layout: 'nchw', classes: 4 };

test('Inference gives a PNG of a class map to those who ask, if it can be sent', async () => {
  const plain = await createInference(createModel(CLASS_MAP)).inference.infer(REQUEST);
  assert.equal(plain.png, undefined);
  assert.deepEqual(plain.findings?.shares?.[0], { label: 'cat', classId: 0, share: 1 });
  const { inference, asked } = createInference(createModel(CLASS_MAP));
  const { png, findings } = await inference.infer({ ...REQUEST, png: true });
  assert.deepEqual(findings, plain.findings);
  assert.equal(Buffer.from(png ?? []).toString('latin1', 1, 4), 'PNG');
  const answerLimit = { maxBytes: 100, bytesPerValue: 2 };
  await refuses(
    inference.infer({ ...REQUEST, png: true, answerLimit }),
    413,
    /^parameters\.png: a PNG of 8x8 pixels takes more than 75 bytes$/,
  );
  assert.equal(asked.length, 2);
  const other = createInference(createModel(CLASSES));
  await refuses(
    other.inference.infer({ ...REQUEST, png: true }),
    400,
    /"net" gives no picture: its decoder is classes/,
  );
  assert.deepEqual(other.asked, []);
});

test('Inference gives all tensors of a model without a decoder', async () => {
  const { inference } = createInference(createModel({ kind: 'raw' }));
  const { findings, tensors } = await inference.infer(REQUEST);
  assert.equal(tensors?.length, 1);
  assert.deepEqual(findings, { detections: [], outputs: [{ name: OUTPUT, shape: [1, 4, 8, 8] }] });
});

test('Inference passes queue, priority and deadline on', async () => {
  const { inference, asked } = createInference(createModel(CLASSES));
  const job = { kind: 'frame', priority: 3, deadlineMs: 250 } as const;
  await inference.infer({ ...REQUEST, job });
  assert.deepEqual(asked[0]?.job, job);
});

test('Inference refuses before it runs anything', async () => {
  const cases: readonly [Partial<InferRequest>, Partial<ServedModel>, number, RegExp][] = [
    [{ model: 'other' }, {}, 404, /^model: "other" isn't served here, expected net, gone$/],
    [{}, { pressure: 'critical' }, 503, /^model: "net" doesn't fit into memory now; try again in 10 s$/],
    [{}, { plan: undefined }, 503, /doesn't fit/],
    [{ outputs: ['nothing'] }, {}, 400, /^outputs\[0\]\.name: "nothing", expected one of /],
    [
      { outputs: [OUTPUT], answerLimit: { maxBytes: 511, bytesPerValue: 2 } },
      {},
      413,
      /^outputs: 512 bytes or more, expected at most 511; name fewer tensors/,
    ],
    [
      {
        input: {
          kind: 'tensor',
          name: 'y',
          dtype: 'float32',
          shape: [1, 3, 8, 8],
          bytes: new Uint8Array(768),
        },
      },
      {},
      400,
      /^inputs\[0\]\.name: "y", expected "/,
    ],
  ];
  for (const [request, model, status, text] of cases) {
    const { inference, asked } = createInference(createModel(CLASSES, model));
    await refuses(inference.infer({ ...REQUEST, ...request }), status, text);
    assert.deepEqual(asked, [], String(text));
  }
});

test('Inference serves a model under pressure as long as a plan fits', async () => {
  const { inference } = createInference(createModel(CLASSES, { pressure: 'tight' }));
  assert.ok((await inference.infer(REQUEST)).findings !== undefined);
});

test('Inference says why a model fails, and when to try again', async () => {
  const { inference } = createInference(createModel(CLASSES));
  await assert.rejects(inference.infer({ ...REQUEST, model: 'gone' }), {
    name: 'RequestError',
    message: 'model: its files are gone',
    status: 503,
    retryAfterS: 60,
  });
});

test('Inference tells a model that does not fit from other refusals', async () => {
  const unfit = createInference(createModel(CLASSES, { pressure: 'critical' }));
  await assert.rejects(unfit.inference.infer(REQUEST), UnavailableError);
  // Frames that waited when memory ran out counted as failed: bench/soak.
  const suspended = createInference(
    createModel(CLASSES),
    new SuspendedError('Cannot run: "net" does not fit'),
  );
  await assert.rejects(suspended.inference.infer(REQUEST), UnavailableError);
  const busy = createInference(createModel(CLASSES), new BusyError('Cannot run: 8 jobs wait already'));
  await assert.rejects(busy.inference.infer(REQUEST), (error) => !(error instanceof UnavailableError));
});

test('Inference gives every fault a field and a status', async () => {
  const faults: readonly [Error, number, RegExp][] = [
    [new InputError('Cannot decode picture: not an image'), 400, /^inputs\[0\]: Cannot decode picture/],
    [new BusyError('Cannot run: 8 jobs wait already'), 503, /^model: Cannot run: 8 jobs/],
    [new ShareError('Cannot run: 4 jobs of this client'), 429, /^model: Cannot run: 4 jobs/],
    [new ModelChangedError('Cannot load model "net": changed'), 503, /^model: Cannot load model/],
    [new ExecutorError('Executor lost: killed'), 503, /^model: Executor lost/],
    [new DeadlineError('Cannot run: no turn within 5 ms'), 504, /^deadline: Cannot run: no turn/],
    [new Error('broken'), 500, /^model: broken$/],
  ];
  for (const [fault, status, text] of faults) {
    const { inference, faults: own } = createInference(createModel(CLASSES), fault);
    await refuses(inference.infer(REQUEST), status, text);
    assert.deepEqual(own, status === 500 ? [fault] : [], 'faults of the node alone are reported');
  }
});
