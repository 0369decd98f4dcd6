/** Small networks of the kinds that people have, in ../shared/cases/networks: what import and run make of each. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import type { FileVerification } from '../agent/cli/verify-network.js';
import { verifyOutputs } from '../agent/cli/verify-outputs.js';
import { startExecutor } from '../agent/engine/executor-client.js';
import { loadPlan } from '../agent/engine/load-plan.js';
import { ModelStore } from '../agent/models/model-store.js';
import { openModel } from '../agent/planning/open-model.js';
import { planNetwork } from '../agent/planning/plan-network.js';
import type { Plan } from '../shared/search/index.js';
import { buildPlan, parsePlan } from '../shared/search/index.js';
import { project, runMafat, sharedFolder, smallPng, startMafat } from './fixtures.js';

const CASES = join(project, '..', 'shared', 'cases', 'networks');
const skip = existsSync(CASES) ? false : 'no ../shared/cases/networks';

interface Case {
  readonly file: string;
  readonly options?: readonly string[];
  /** Plans that must be exact, too. */
  readonly plans?: readonly string[];
  /** Why the model isn't compared with its file. */
  readonly uncompared?: RegExp;
  readonly outputs?: readonly (readonly number[])[];
}

const IMPORTED: readonly Case[] = [
  { file: 'batch4/b4', uncompared: /Got: 1 Expected: 4/, outputs: [[1, 4, 64, 64]], plans: ['2x2'] },
  { file: 'channel-shuffle/shuffle', plans: ['stream4'] },
  { file: 'conv-transpose/up', plans: ['1x5:stream2'] },
  { file: 'focus-slice/focus', plans: ['1x2:stream4'] },
  { file: 'four-channels/rgba', plans: ['2x2'] },
  { file: 'fp16-inside/half-inside' },
  { file: 'fp16-io/half' },
  { file: 'grayscale/gray', plans: ['stream4'] },
  { file: 'instance-norm/instnorm' },
  { file: 'int8-dynamic/dyn' },
  { file: 'int8-qdq/qdq', plans: ['1x2:stream16'] },
  { file: 'int8-qdq/qdq-per-channel', plans: ['2x2'] },
  { file: 'int8-qoperator/qop', plans: ['1x5:stream1'] },
  { file: 'nhwc-uint8/tf', options: ['--input', '300x300'], plans: ['2x2'] },
  { file: 'nms-inside/nms', outputs: [[50, 4], [50]], plans: ['whole | 4 | whole'] },
  { file: 'nms-inside/nms-no-shape', plans: ['whole | 9 | whole'] },
  { file: 'opset9/opset9', plans: ['1x2:stream4'] },
  { file: 'resize-align-corners/align' },
  { file: 'resize-bilinear/bilinear', plans: ['stream4'] },
  { file: 'second-input/paddle' },
  { file: 'squeeze-excite/se' },
  { file: 'unet-bilinear/unet', plans: ['stream16'] },
];

test('small networks of the kinds that people have', { skip, concurrency: 2 }, async (context) => {
  const cases = IMPORTED.map((one) =>
    context.test(`${one.file} gives the outputs of the file`, () => assertAsFile(one)),
  );
  await Promise.all(cases);
});

async function assertAsFile({ file, options = [], plans = [], uncompared, outputs }: Case): Promise<void> {
  const folder = sharedFolder();
  const picture = join(folder, 'image.png');
  writeFileSync(picture, await smallPng({ width: 320, height: 240 }));
  const mafat = (...args: readonly string[]) => startMafat(join(folder, 'models'), ...args);
  const name = basename(file);
  const path = join(CASES, `${file}.onnx`);
  const imported = await mafat('model', 'import', path, '--name', name, '--json', ...options);
  assert.equal(imported.code, 0, imported.stderr);
  const { check } = JSON.parse(imported.stdout) as { readonly check: FileVerification };
  if (uncompared === undefined) assert.ok('exact' in check && check.exact, imported.stdout);
  else assert.match('reason' in check ? check.reason : '', uncompared);
  if (plans.length === 0) return;
  const executor = await startExecutor();
  try {
    const network = await openModel(new ModelStore(join(folder, 'models')), name, {
      executor: async () => executor,
    });
    const run = async (plan: Plan) => {
      await loadPlan(executor, { model: network, plan });
      const image = { kind: 'file', path: picture } as const;
      return (await executor.ask({ kind: 'run', image, outputs: 'values' })).outputs;
    };
    for (const notation of plans) {
      const plan = planNetwork(network, {
        notation,
        strategy: 'optimal',
        budgetBytes: 0,
        weights: 'evictable',
      });
      const ran = await run(plan);
      const untiled = await run(buildPlan(network.graph, parsePlan('whole'), plan.settings));
      assert.ok(verifyOutputs(ran, untiled, { bitExact: false }).exact, notation);
      if (outputs === undefined) continue;
      assert.deepEqual(
        ran.map(({ shape }) => shape),
        outputs,
      );
    }
  } finally {
    await executor.stop();
  }
}

const REFUSED = [
  ['old-opset/opset6', /ai.onnx opset 6, expected 7 to 26/],
  ['external-renamed/mymodel', /Cannot read external data of "w", "model.onnx.data": no such file/],
  ['nhwc-uint8/tf', /"image_tensor" uint8 \[\?, \?, \?, 3\] has no fixed size; give --input WIDTHxHEIGHT/],
] as const;

test('networks that cannot be run are refused with what is wrong and what to do', { skip }, () => {
  const models = join(sharedFolder(), 'models');
  for (const [file, reason] of REFUSED) {
    const { code, stderr } = runMafat(
      models,
      'model',
      'import',
      join(CASES, `${file}.onnx`),
      '--name',
      'case',
    );
    assert.equal(code, 1);
    assert.match(stderr, reason);
  }
});
