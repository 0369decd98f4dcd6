/** The order in which ONNX Runtime runs a stream's nodes, and the order of channels in which rows are joined. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { readMachine } from '../../../agent/board/machine.js';
import { ModelOptimizer } from '../../../agent/engine/blocked/model-optimizer.js';
import { startExecutor } from '../../../agent/engine/executor-client.js';
import type { CarrySpec, SessionProgram } from '../../../agent/engine/wire/protocol.js';
import type { Level } from '../../../shared/predict/index.js';
import { temporaryFolder } from '../../fixtures.js';
import { programOf, sessionsOfProgram, storeGraph } from '../../stored-program.js';

const NETWORK = '3x40x40: c16k3p1 l c32k3p1 m2s2 c32k3p1 c16k3p1 l';

const skip = readMachine() === undefined && 'no blocked convolutions on this machine';

test('the nodes of a stream keep their rows as soon as these are joined', async (context) => {
  const { folder, session } = await streamOf(context, 'extended');
  const ops = await opsAsRun(context, { session, model: session.model, folder, level: 'extended' });
  const [plain, fused] = ['Concat Slice Conv', 'Concat Slice FusedConv'];
  assert.equal(ops.join(' '), [fused, plain, 'MaxPool', plain, fused, 'Shape'].join(' '));
});

test('saved in blocked order they do, and join rows in that order', { skip }, async (context) => {
  const { session } = await streamOf(context, 'all');
  const saved = session.optimized ?? assert.fail('not saved');
  const ops = await opsAsRun(context, { session, ...saved, level: 'disabled' });
  const joined = 'Reshape Concat Slice Reshape Conv';
  const expected = ['Concat Slice Conv', joined, 'MaxPool', joined, joined, 'ReorderOutput', 'Shape'];
  assert.equal(ops.join(' '), expected.join(' '));
});

async function streamOf(context: TestContext, level: Level) {
  const program = programOf(storeGraph(context, NETWORK), 'stream2', { level });
  const [session] = sessionsOfProgram(await new ModelOptimizer({ startExecutor }).optimize(program));
  return { folder: program.folder, session: session ?? assert.fail('no session') };
}

interface Saved {
  readonly session: SessionProgram;
  readonly model: Uint8Array;
  readonly folder: string;
  readonly level: Level;
}

/** Operators in the order in which they ran, by ONNX Runtime's profile of one step. */
async function opsAsRun(
  context: TestContext,
  { session, model, folder, level }: Saved,
): Promise<readonly string[]> {
  const profiles = temporaryFolder(context);
  const native = await InferenceSession.create(model, {
    graphOptimizationLevel: level,
    enableProfiling: true,
    profileFilePrefix: join(profiles, 'profile'),
    extra: { session: { model_external_initializers_file_folder_path: folder } },
  });
  const channelsOf = (name: string) =>
    native.inputMetadata.flatMap((input) => (input.isTensor && input.name === name ? input.shape : []))[1];
  const carried = (session.carries[0]?.carries ?? []).flatMap((spec) => feedsOf(spec, channelsOf));
  const image = new Tensor('float32', new Float32Array(3 * 8 * 40), [1, 3, 8, 40]);
  await native.run({ ...Object.fromEntries(carried), [session.feeds[0]?.name ?? '']: image });
  native.endProfiling();
  await native.release();
  const [profile = ''] = readdirSync(profiles);
  const events = JSON.parse(readFileSync(join(profiles, profile), 'utf8')) as readonly ProfileEvent[];
  return events.flatMap(({ name, args }) => (name.endsWith('_kernel_time') ? [args?.op_name ?? ''] : []));
}

interface ProfileEvent {
  readonly name: string;
  readonly args?: { readonly op_name?: string };
}

type Feed = readonly [string, Tensor];

/** Inputs with the carried rows of a middle step. */
function feedsOf(
  { channels, cols, carry, tail }: CarrySpec,
  channelsOf: (name: string) => string | number | undefined,
): readonly Feed[] {
  const feed = (name: string, rows: number): Feed => {
    const declared = Number(channelsOf(name));
    const shape = [1, declared, rows, (cols * channels) / declared];
    return [name, new Tensor('float32', new Float32Array(rows * cols * channels), shape)];
  };
  return [
    ...(carry === null ? [] : [feed(carry.name, carry.kept)]),
    ...(tail === null ? [] : [feed(tail.name, 0)]),
  ];
}
