import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compilePlan } from '../../../agent/engine/compile/compile.js';
import type { MapSpec, Program, TileWrite } from '../../../agent/engine/wire/protocol.js';
import { buildPlan, parsePlan } from '../../../shared/search/index.js';
import { randomGraph } from '../../random-graph.js';
import { imageInputOf } from '../../run-in-process.js';
import { readyGraph } from '../assert-exact.js';

const SETTINGS = { threads: 1, level: 'extended' } as const;

test('compilePlan() gives streamed tiles one session, and each shape of them carries of its own', () => {
  const program = programOf('3x64x48: c4k3p1 c4k3p1', '1x3:stream4');
  const [segment] = program.segments;
  assert.equal(segment?.sessions.length, 1);
  const cols = segment?.sessions[0]?.carries.map(({ carries }) => carries.map((carry) => carry.cols));
  assert.deepEqual(cols, [
    [18, 18],
    [20, 20],
  ]);
  const starts = segment?.steps.filter(({ phase }) => phase === 'first').map(({ carries }) => carries);
  assert.deepEqual(starts, [0, 0, 1]);
});

test('compilePlan() skips rows of streamed tiles that another tile owns', () => {
  const program = programOf('3x64x48: c4k3p1 c4k3p1', '2x1:stream1');
  const steps = program.segments[0]?.steps ?? [];
  const last = steps.filter(({ phase }) => phase === 'last').map(({ writes }) => writes[0]);
  // The first tile ends in two rows of halo, which its last step makes with one of its own.
  assert.deepEqual(last[0], { crop: { rowFrom: 0, rowTo: 1, colFrom: 0, colTo: 48 }, row: 31, col: 0 });
  assert.ok(steps.some(({ writes }) => writes[0] === 'skip'));
});

test('compilePlan() has streamed tiles write every element of an output once, from maps they read within', () => {
  let streamed = 0;
  const property = fc.property(
    randomGraph({ maxSize: 64, maxWords: 10 }),
    fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
    ({ notation }, [rows, cols, step]) => {
      const program = programOf(notation, `${rows}x${cols}:stream${step}`);
      streamed += program.segments.some(({ sessions }) => (sessions[0]?.carries.length ?? 0) > 1) ? 1 : 0;
      for (const segment of program.segments) assertCovers(program, segment);
    },
  );
  fc.assert(property, { numRuns: 150 });
  assert.ok(streamed > 10, `only ${streamed} had tiles of several shapes`);
});

function programOf(notation: string, planText: string): Program {
  const graph = readyGraph(notation);
  const plan = buildPlan(graph, parsePlan(planText), SETTINGS);
  return compilePlan(graph, plan, { folder: '.', input: imageInputOf(graph), ...SETTINGS });
}

function assertCovers({ maps }: Program, { sessions, steps }: Program['segments'][number]): void {
  for (const step of steps) {
    for (const [at, { map }] of (sessions[step.session]?.feeds ?? []).entries()) {
      const [, , rows = 1, cols = 1] = maps[map]?.shape ?? [];
      const read = step.reads[at];
      if (read) assert.ok(read.rowFrom >= 0 && read.rowTo <= rows && read.colFrom >= 0 && read.colTo <= cols);
    }
  }
  for (const [at, { map }] of (sessions[0]?.fetches ?? []).entries()) {
    const writes = steps.map((step) => step.writes[at] ?? null).filter((write) => write !== 'skip');
    const parts = writes.filter((write) => write !== null);
    if (parts.length === 0) assert.equal(writes.length, 1);
    else assertTimes(maps[map], parts);
  }
}

function assertTimes(spec: MapSpec | undefined, writes: readonly TileWrite[]): void {
  const [, , rows = 1, cols = 1] = spec?.shape ?? [];
  const times = new Uint8Array(rows * cols);
  for (const { crop, row, col } of writes) {
    for (let y = 0; y < crop.rowTo - crop.rowFrom; y += 1) {
      for (let x = 0; x < crop.colTo - crop.colFrom; x += 1)
        times[(row + y) * cols + col + x] = (times[(row + y) * cols + col + x] ?? 0) + 1;
    }
  }
  assert.ok(times.every((count) => count === 1));
}
