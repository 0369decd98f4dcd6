/** Optimised models on ONNX Runtime itself. Mapped weights give the same numbers; without them the model still runs. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readMachine } from '../../../agent/board/machine.js';
import type { OptimizerOptions } from '../../../agent/engine/blocked/model-optimizer.js';
import { ModelOptimizer } from '../../../agent/engine/blocked/model-optimizer.js';
import { startExecutor } from '../../../agent/engine/executor-client.js';
import type { Program } from '../../../agent/engine/wire/protocol.js';
import { temporaryFolder } from '../../fixtures.js';
import { programOf, runProgram, sessionsOfProgram, storeGraph } from '../../stored-program.js';

/** Reason to skip a test: only x86-64 has blocked convolutions, whose weights would be copied. */
const skip = readMachine() === undefined && 'no blocked convolutions on this machine';

const NETWORK = '3x40x40: c16k3p1 l c32k3p1 m2s2 c32k3p1 c16k3p1';

test('ModelOptimizer.optimize() changes no bit of the outputs', { skip }, async (context) => {
  const cases = [
    [NETWORK, 'whole'],
    [NETWORK, '2x3'],
    [NETWORK, 'stream2'],
    [NETWORK, 'stream2 > 3 > stream1'],
    [NETWORK, 'stream4 | 3 | whole'],
    ['3x40x40: c32k3p1 c32k3p1 c32k3p1 +1 c32k3p1', 'stream3'],
    ['3x40x40: c16k3p1 m2s2 ! c32k3p1 m2s2 u2 &2 c32k1 u2 &1 c16k3p1', 'stream1 > 3 > stream1'],
    ['3x32x32: s2 c64k3p1 d2 h c64k3p1g16 e t c64k1', 'whole'],
    ['3x33x41: c20k3s2p1 c30k5p2 a3s1p1 c24k3p2d2', '2x2'],
  ] as const;
  for (const [at, [notation, plan]] of cases.entries()) {
    await context.test(`${notation} as ${plan}`, async (inner) => {
      const settings = { level: at % 2 === 0 ? 'all' : 'layout', threads: 1 + (at % 2) } as const;
      await assertSame(programOf(storeGraph(inner, notation), plan, settings));
    });
  }
});

async function assertSame(program: Program): Promise<void> {
  const optimized = await optimizerOf().optimize(program);
  const folders = sessionsOfProgram(optimized).flatMap((session) => session.optimized?.folder ?? []);
  assert.ok(folders.length > 0);
  const direct = await runProgram(program);
  const cached = await runProgram(optimized, { onLoaded: () => assert.ok(folders.every(isMapped)) });
  assert.deepEqual(cached, direct);
}

/** Whether this process maps weights from a folder. */
function isMapped(folder: string): boolean {
  return readFileSync('/proc/self/maps', 'utf8').includes(join(folder, 'model.onnx.data'));
}

test('ModelOptimizer.optimize() saves each session once', { skip }, async (context) => {
  const stored = storeGraph(context, NETWORK);
  assert.equal(await countSaves(programOf(stored, 'stream2 > 3 > stream2')), 2);
  assert.equal(await countSaves(programOf(stored, 'stream2 > 3 > stream2')), 0);
  assert.equal(await countSaves(programOf(stored, '2x2 | 3 | whole')), 2);
  assert.equal(await countSaves(programOf(stored, '3x1 | 3 | 2x2')), 0, 'the same sessions, other tiles');
});

async function countSaves(program: Program, machine?: string): Promise<number> {
  let saves = 0;
  const optimizer = optimizerOf(machine === undefined ? {} : { machine });
  await optimizer.optimize(program, {
    onSave: () => {
      saves += 1;
    },
  });
  return saves;
}

test('ModelOptimizer.optimize() follows weights that were replaced', { skip }, async (context) => {
  const stored = storeGraph(context, NETWORK);
  const before = await runProgram(await optimizerOf().optimize(programOf(stored, 'whole')));
  const second = programOf(storeGraph(context, NETWORK, { ...stored, seed: 2 }), 'whole');
  const after = await runProgram(await optimizerOf().optimize(second));
  assert.deepEqual(after, await runProgram(second));
  assert.notDeepEqual(after, before);
});

test('ModelOptimizer.optimize() keeps machines and levels apart', { skip }, async (context) => {
  const program = programOf(storeGraph(context, NETWORK), 'whole');
  assert.equal(await countSaves(program, 'one'), 1);
  assert.equal(
    await countSaves({ ...program, settings: { ...program.settings, level: 'layout' } }, 'one'),
    1,
  );
  assert.equal(entriesOf(program).length, 2);
  assert.equal(await countSaves(program, 'other'), 1);
  assert.equal(entriesOf(program).length, 1, 'those of the machine before are removed');
});

function entriesOf({ folder }: Program): readonly string[] {
  return readdirSync(join(folder, 'optimized'));
}

test('ModelOptimizer.optimize() leaves alone what has nothing to gain', async (context) => {
  const extended = programOf(storeGraph(context, NETWORK), 'whole', { level: 'extended' });
  const small = programOf(storeGraph(context, '3x16x16: c8k3p1 m2s2 c8k3p1'), '2x2');
  for (const program of [extended, small]) {
    assert.deepEqual(await optimizerOf().optimize(program), program);
    assert.ok(!existsSync(join(program.folder, 'optimized')));
  }
});

test('ModelOptimizer.optimize() does without where nothing can be written', { skip }, async (context) => {
  const program = programOf(storeGraph(context, NETWORK), 'whole');
  writeFileSync(join(program.folder, 'optimized'), 'in the way');
  const reasons: string[] = [];
  const optimizer = optimizerOf({ onFailed: (reason) => reasons.push(reason) });
  for (let round = 0; round < 2; round += 1) assert.deepEqual(await optimizer.optimize(program), program);
  assert.equal(reasons.length, 1, 'tried once');
  assert.match(reasons[0] ?? '', /ENOTDIR/);
});

const skipAsRoot = skip || (process.getuid?.() === 0 && 'root may write everywhere');
test('ModelOptimizer.optimize() uses a folder it may only read', { skip: skipAsRoot }, async (context) => {
  const stored = storeGraph(context, NETWORK);
  const made = programOf(stored, 'whole');
  await optimizerOf().optimize(made);
  const folders = [stored.folder, join(stored.folder, 'optimized')];
  for (const folder of folders) chmodSync(folder, 0o555);
  try {
    assert.notEqual(sessionsOfProgram(await optimizerOf().optimize(made))[0]?.optimized, undefined);
    const bare = programOf(stored, 'stream2');
    assert.deepEqual(await new ModelOptimizer({ startExecutor }).optimize(bare), bare);
  } finally {
    for (const folder of folders) chmodSync(folder, 0o755);
  }
});

test('ModelOptimizer.optimize() ends when it is aborted, and leaves nothing', { skip }, async (context) => {
  const program = programOf(storeGraph(context, NETWORK), 'whole');
  const controller = new AbortController();
  const onSave = () => setTimeout(() => controller.abort(), 1);
  await assert.rejects(optimizerOf().optimize(program, { signal: controller.signal, onSave }), /abort/i);
  assert.deepEqual(entriesOf(program), []);
  assert.equal(await countSaves(program), 1);
});

test('ProgramRunner.load() does without an optimised model that has gone', { skip }, async (context) => {
  const program = programOf(storeGraph(context, NETWORK), 'stream2');
  const optimized = await optimizerOf().optimize(program);
  rmSync(join(program.folder, 'optimized'), { recursive: true });
  assert.deepEqual(await runProgram(optimized), await runProgram(program));
});

test('readMachine() tells processors apart, and has no name where nothing is gained', (context) => {
  const machineOf = (cpuinfo: string, arch = 'x64') => {
    const root = temporaryFolder(context);
    writeFileSync(join(root, 'cpuinfo'), cpuinfo);
    return readMachine({ root, arch });
  };
  const wide =
    'processor\t: 0\nmodel name\t: CPU\ncpu MHz\t\t: 2000\nflags\t\t: fpu avx2 avx512f\n\nprocessor\t: 1\n';
  assert.equal(machineOf(wide), machineOf(wide.replace('2000', '3100')));
  assert.notEqual(machineOf(wide), machineOf(wide.replace(' avx512f', '')));
  assert.match(machineOf(wide) ?? '', /^onnxruntime-\d+\.\d+\.\d+-[0-9a-f]{16}$/);
  assert.equal(machineOf(wide, 'arm64'), undefined);
  assert.equal(machineOf(''), undefined);
  assert.equal(readMachine({ root: temporaryFolder(context), arch: 'x64' }), undefined);
});

/** An optimizer that fails the test if a model can't be saved. */
function optimizerOf(options: Partial<OptimizerOptions> = {}): ModelOptimizer {
  return new ModelOptimizer({ startExecutor, onFailed: (reason) => assert.fail(reason), ...options });
}
