import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parsePlan } from '../../shared/search/index.js';
import type { PlanNotation } from '../../shared/search/notation.js';
import { formatPlan } from '../../shared/search/notation.js';
import type { Mode } from '../../shared/tile/index.js';
import { streamedTilesOf, tilesOf, WHOLE } from '../../shared/tile/index.js';

test('parsePlan() reads back what formatPlan() wrote', () => {
  fc.assert(fc.property(plans, (plan) => assert.deepEqual(parsePlan(formatPlan(plan)), plan)));
});

test('formatPlan() prints modes with the first layer after each cut between them', () => {
  const plan = { modes: [tilesOf(5, 5), tilesOf(2, 3), WHOLE], cuts: [8, 12] };
  assert.equal(formatPlan(plan), '5x5 | 8 | 2x3 | 12 | whole');
  assert.equal(formatPlan({ modes: [WHOLE], cuts: [] }), 'whole');
});

test('formatPlan() prints > around cuts that hand rows on', () => {
  const modes = [streamOf(4), streamOf(2), streamOf(1), WHOLE];
  assert.equal(
    formatPlan({ modes, cuts: [3, 8, 12], links: [8] }),
    'stream4 | 3 | stream2 > 8 > stream1 | 12 | whole',
  );
});

test('parsePlan() ignores white space around its parts', () => {
  const plan = { modes: [tilesOf(2, 2), WHOLE], cuts: [4] };
  assert.deepEqual(parsePlan('2x2|4|whole'), plan);
  assert.deepEqual(parsePlan('  2x2  |  4 | whole\n'), plan);
});

test('parsePlan() reads one tile as the whole map', () => {
  assert.deepEqual(parsePlan('1x1'), { modes: [WHOLE], cuts: [] });
});

test('parsePlan() names the part that is no mode', () => {
  for (const mode of ['', '3', '0x2', '2x0', '2x', '2X2', '2x2x2', '-1x2', '1.5x2', '65x1', 'Whole']) {
    assert.throws(() => parsePlan(`whole | 3 | ${mode}`), {
      name: 'SyntaxError',
      message: new RegExp(`^Cannot parse mode "${mode}": expected whole or ROWSxCOLS`),
    });
  }
});

test('parsePlan() names the part that is no layer', () => {
  for (const cut of ['', '2x2', '-1', '1.5', '1e2', '9007199254740993']) {
    assert.throws(() => parsePlan(`whole | ${cut} | whole`), {
      name: 'SyntaxError',
      message: new RegExp(`cut "${cut}", expected a layer number`),
    });
  }
});

test('parsePlan() fails when the plan ends in a cut', () => {
  assert.throws(() => parsePlan('2x2 | 4'), { name: 'SyntaxError', message: /"2x2 \| 4": it ends in a cut/ });
});

test('parsePlan() fails when cuts do not increase from 1', () => {
  assert.throws(() => parsePlan('2x2 | 0 | whole'), /cut 0, expected a layer after the first/);
  assert.throws(() => parsePlan('2x2 | 4 | 2x2 | 4 | whole'), /cut 4, expected a layer after 4/);
  assert.throws(() => parsePlan('2x2 | 4 | 2x2 | 3 | whole'), /cut 3, expected a layer after 4/);
});

test('parsePlan() reads which cuts hand rows from stream to stream', () => {
  assert.deepEqual(parsePlan('stream4>3>stream2 | 8 | stream1 > 9 > stream16'), {
    modes: [streamOf(4), streamOf(2), streamOf(1), streamOf(16)],
    cuts: [3, 8, 9],
    links: [3, 9],
  });
});

test('parsePlan() fails when a cut stands between different marks', () => {
  for (const plan of [
    'stream4 > 8 | stream4',
    'stream4 | 8 > stream4',
    'stream4 > 3 > stream4 > 8 | stream4',
  ]) {
    assert.throws(() => parsePlan(plan), {
      name: 'SyntaxError',
      message: /: cut 8, expected \| 8 \| or > 8 >$/,
    });
  }
});

test('parsePlan() fails when > stands next to a mode that is no stream', () => {
  for (const plan of [
    '2x2 > 8 > stream4',
    'stream4 > 8 > whole',
    'whole > 8 > whole',
    'stream1 > 3 > stream4 > 8 > 1x1',
  ]) {
    assert.throws(() => parsePlan(plan), {
      name: 'SyntaxError',
      message: `Cannot parse plan "${plan}": > 8 >, expected a stream on either side`,
    });
  }
});

test('parsePlan() fails when > stands next to streamed tiles, and says what can be linked', () => {
  for (const plan of [
    '1x2:stream4 > 8 > stream4',
    'stream4 > 8 > 2x1:stream1',
    '1x2:stream4 > 8 > 1x2:stream4',
  ]) {
    assert.throws(() => parsePlan(plan), {
      name: 'SyntaxError',
      message: `Cannot parse plan "${plan}": > 8 >, expected a stream of whole rows, such as stream4, on either side: streamed tiles are cut by |`,
    });
  }
});

test('parsePlan() reads streamed tiles between cuts', () => {
  assert.deepEqual(parsePlan('1x2:stream4 | 8 | stream2'), {
    modes: [streamedTilesOf({ rows: 1, cols: 2 }, 4), streamOf(2)],
    cuts: [8],
  });
});

test('parsePlan() fails when the plan ends in a mark or a link', () => {
  assert.throws(() => parsePlan('stream4 > 8'), /"stream4 > 8": it ends in a cut/);
  for (const plan of [
    'stream4 >',
    '> stream4',
    'stream4 > > stream4',
    'stream4 > 8 >',
    'stream4 >> 8 >> stream4',
  ]) {
    assert.throws(() => parsePlan(plan), { name: 'SyntaxError' }, plan);
  }
});

const grid = fc.integer({ min: 1, max: 64 });

const modes: fc.Arbitrary<Mode> = fc.oneof(
  fc.constant(WHOLE),
  fc.tuple(grid, grid).map(([rows, cols]) => tilesOf(rows, cols)),
  fc
    .tuple(grid, grid, fc.integer({ min: 1, max: 1024 }))
    .map(([rows, cols, step]) => streamedTilesOf({ rows, cols }, step)),
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 1024 }).map(streamOf) },
);

const plans: fc.Arbitrary<PlanNotation> = fc
  .uniqueArray(fc.integer({ min: 1, max: 10_000 }), { maxLength: 6 })
  .map((cuts) => [...cuts].sort((a, b) => a - b))
  .chain((cuts) =>
    fc
      .tuple(exactly(modes, cuts.length + 1), exactly(fc.boolean(), cuts.length))
      .map(([chosen, isLinked]) => planOf({ modes: chosen, cuts }, isLinked)),
  );

function exactly<T>(of: fc.Arbitrary<T>, length: number): fc.Arbitrary<T[]> {
  return fc.array(of, { minLength: length, maxLength: length });
}

/** Links as many of the chosen cuts as stand between streams. */
function planOf({ modes: chosen, cuts }: PlanNotation, isLinked: readonly boolean[]): PlanNotation {
  const isStream = (at: number) => chosen[at]?.kind === 'stream';
  const links = cuts.filter((_, at) => isLinked[at] === true && isStream(at) && isStream(at + 1));
  return links.length === 0 ? { modes: chosen, cuts } : { modes: chosen, cuts, links };
}

function streamOf(rows: number): Mode {
  return { kind: 'stream', rows };
}
