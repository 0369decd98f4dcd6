/**
 * Runs programs on inputs by turns, each in an executor with each allocator that the board has. A buffer that was
 * released may not be read again. So the outputs of each run are compared with those of the first run on the
 * same input.
 *
 * The script runs in its own process without flags, like the agent. A process started with the flag that
 * `release` needs wouldn't give it to its executor. The exit code tells failure.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { findAllocator } from '../../agent/engine/allocator.js';
import { compilePlan } from '../../agent/engine/compile/compile.js';
import { ExecutorClient } from '../../agent/engine/executor-client.js';
import type { OutputTensor, Program } from '../../agent/engine/wire/protocol.js';
import type { RunSettings } from '../../shared/predict/index.js';
import { buildPlan, parsePlan } from '../../shared/search/index.js';
import { isReleasing, pixelsOf, TURNS_GRAPH, TURNS_INPUT, TURNS_PLANS, tensorOf } from './turns.js';

const SOURCES = {
  pixels: pixelsOf(1),
  'other pixels': pixelsOf(2),
  'small pixels': pixelsOf(3, { width: 20, height: 24 }),
  tensor: tensorOf(4),
} as const;

const ORDER = ['pixels', 'pixels', 'other pixels', 'pixels', 'tensor', 'tensor', 'small pixels'] as const;
const TURNS = [...ORDER, ...ORDER.toReversed()];

const allocators = new Set([findAllocator({ wanted: 'glibc' }).kind, findAllocator().kind]);
const [expected, ...others] = await Promise.all([...allocators].map(runWith));
for (const actual of others) assert.deepEqual(actual, expected, 'where memory comes from changes no value');

async function runWith(allocator: RunSettings['allocator']): Promise<readonly (readonly OutputTensor[])[]> {
  const executor = new ExecutorClient(findAllocator({ wanted: allocator }));
  try {
    await executor.start();
    assert.ok(isReleasing(executor));
    const results: (readonly OutputTensor[])[] = [];
    for (const settings of settingsOf(allocator))
      for (const plan of TURNS_PLANS) results.push(...(await runTurns(executor, { plan, settings })));
    return results;
  } finally {
    await executor.stop();
  }
}

function settingsOf(allocator: RunSettings['allocator']): readonly RunSettings[] {
  const levels = ['extended', 'all'] as const;
  return levels.flatMap((level) => [1, 2].map((threads) => ({ level, allocator, threads })));
}

interface Turns {
  readonly plan: string;
  readonly settings: RunSettings;
}

/** Outputs by input. */
async function runTurns(
  executor: ExecutorClient,
  turns: Turns,
): Promise<readonly (readonly OutputTensor[])[]> {
  await executor.ask({ kind: 'load', program: programOf(turns) });
  const where = JSON.stringify(turns);
  const first = new Map<string, readonly OutputTensor[]>();
  for (const [turn, name] of TURNS.entries()) {
    const { outputs } = await executor.ask({ kind: 'run', image: SOURCES[name], outputs: 'values' });
    const expected = first.get(name) ?? outputs;
    assert.deepEqual(outputs, expected, `${where}: run ${turn}, on ${name}`);
    first.set(name, expected);
  }
  assert.equal(
    new Set([...first.values()].map(digestOf)).size,
    first.size,
    `${where}: outputs of other inputs`,
  );
  return [...first.values()];
}

function programOf({ plan, settings }: Turns): Program {
  const planned = buildPlan(TURNS_GRAPH, parsePlan(plan), settings);
  return compilePlan(TURNS_GRAPH, planned, { folder: '.', input: TURNS_INPUT });
}

function digestOf(outputs: readonly OutputTensor[]): string {
  const hash = createHash('sha256');
  for (const { bytes } of outputs) hash.update(bytes ?? '');
  return hash.digest('hex');
}
