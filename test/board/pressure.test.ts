import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { PressureDecision, PressureState } from '../../agent/board/pressure.js';
import { BAND_RATIO, CALM_MS, decide, INITIAL_PRESSURE, RISE_MS } from '../../agent/board/pressure.js';

const ORDER = ['ok', 'tight', 'critical'];

/** A planner that obeys at once: its plan needs just what it was asked to stay within. */
class Board {
  state: PressureState = INITIAL_PRESSURE;
  planBytes = 0;
  nowMs = 0;
  mustLeave = false;
  isStalled = false;
  readonly smallestBytes: number;

  constructor(smallestBytes: number) {
    this.smallestBytes = smallestBytes;
  }

  step(budgetBytes: number, afterMs = 100): PressureDecision {
    this.nowMs += afterMs;
    const { planBytes, smallestBytes, nowMs, mustLeave, isStalled } = this;
    const inputs = { budgetBytes, planBytes, smallestBytes, nowMs, mustLeave, isStalled };
    const decision = decide(this.state, inputs);
    this.state = decision.state;
    this.mustLeave = false;
    if (decision.action === 'replan') this.planBytes = this.state.planned?.targetBytes ?? 0;
    return decision;
  }
}

test('decide() orders a first plan with the band to spare, then keeps it', () => {
  const board = new Board(10);
  assert.equal(shown(board.step(100)), 'replan ok for 90');
  assert.equal(shown(board.step(100)), 'keep ok for 90');
});

test('decide() orders a smaller plan at once when the plan exceeds the budget, and stays tight for a while', () => {
  const board = new Board(10);
  board.step(100);
  assert.equal(shown(board.step(60)), 'replan tight for 54');
  assert.equal(shown(board.step(60)), 'keep tight for 54');
  assert.equal(shown(board.step(60, CALM_MS - 1)), 'keep tight for 54');
  assert.equal(shown(board.step(60, 1)), 'keep ok for 54');
});

test('decide() keeps a plan that fits, however far the budget is below what it was planned for', () => {
  const board = new Board(10);
  board.step(100);
  board.planBytes = 30;
  assert.equal(shown(board.step(31)), 'keep ok for 90');
});

test('decide() is critical when not even the smallest plan fits, and recovers step by step', () => {
  const board = new Board(50);
  board.step(100);
  assert.equal(shown(board.step(40)), 'replan critical for 50');
  assert.equal(shown(board.step(20, 2 * CALM_MS)), 'keep critical for 50', 'nothing smaller can be ordered');
  assert.equal(shown(board.step(51)), 'keep critical for 50');
  assert.equal(shown(board.step(51, CALM_MS)), 'keep tight for 50');
  assert.equal(shown(board.step(51, CALM_MS)), 'keep ok for 50');
});

test('decide() keeps the smallest plan while the budget is within the band above it', () => {
  const board = new Board(50);
  board.step(20);
  board.step(54);
  assert.equal(board.step(54, 2 * RISE_MS).action, 'keep');
  board.step(56);
  assert.equal(board.step(56, RISE_MS).action, 'replan');
});

test('decide() orders a larger plan only after the budget was higher for long, and for its least', () => {
  const board = new Board(10);
  board.step(100);
  board.step(50);
  assert.equal(shown(board.step(200)), 'keep tight for 45');
  assert.equal(shown(board.step(80, RISE_MS / 2)), 'keep ok for 45');
  assert.equal(shown(board.step(200, RISE_MS / 2)), 'replan ok for 72');
});

test('decide() begins to wait anew when tasks wait for memory', () => {
  const board = new Board(10);
  board.step(100);
  board.step(200);
  board.isStalled = true;
  board.step(200, RISE_MS);
  board.isStalled = false;
  assert.equal(board.step(200).action, 'keep');
  assert.equal(board.step(200, RISE_MS).action, 'replan');
});

test('decide() begins to wait anew when the budget comes back into the band', () => {
  const board = new Board(10);
  board.step(100);
  board.step(200);
  board.step(109, RISE_MS);
  assert.equal(board.step(200).action, 'keep');
  assert.equal(board.step(200, RISE_MS - 1).action, 'keep');
  assert.equal(board.step(200, 1).action, 'replan');
});

test('decide() orders a smaller plan at once when the plan turns out to need more, and never a larger one', () => {
  const board = new Board(10);
  board.step(100);
  board.planBytes = 120;
  assert.equal(shown(board.step(110)), 'replan tight for 90', 'not for more than before');
  board.planBytes = 95;
  assert.equal(shown(board.step(100)), 'keep tight for 90', 'it still fits the budget');
});

test('decide() orders another plan at once when the one in force must be left, though it fits', () => {
  const board = new Board(10);
  board.step(100);
  board.mustLeave = true;
  assert.equal(shown(board.step(150)), 'replan ok for 90');
  assert.equal(shown(board.step(150)), 'keep ok for 90');
});

test('decide() never flaps for a budget that oscillates inside the band', () => {
  const wobble = fc.double({ min: 1 - BAND_RATIO, max: 1 + BAND_RATIO, noNaN: true });
  const steps = fc.array(fc.tuple(wobble, fc.nat(2 * RISE_MS)), { maxLength: 50 });
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 2 ** 32 }), steps, (budgetBytes, wobbles) => {
      const board = new Board(budgetBytes / 2);
      board.step(budgetBytes);
      for (const [factor, afterMs] of wobbles) {
        const { action, state } = board.step(budgetBytes * factor, afterMs);
        assert.deepEqual([action, state.pressure], ['keep', 'ok']);
      }
    }),
  );
});

test('decide() leaves a plan that fits or the smallest, and no pressure below what is measured', () => {
  fc.assert(
    fc.property(budgets(), (steps) => {
      const board = new Board(40);
      for (const [budgetBytes, afterMs] of steps) {
        const before = board.planBytes;
        const { pressure } = board.step(budgetBytes, afterMs).state;
        assert.ok(board.planBytes <= Math.max(budgetBytes, board.smallestBytes));
        const measured = board.smallestBytes > budgetBytes ? 2 : before > budgetBytes ? 1 : 0;
        assert.ok(ORDER.indexOf(pressure) >= measured);
      }
    }),
  );
});

test('decide() orders upwards RISE_MS apart, and downwards by the band at least', () => {
  fc.assert(
    fc.property(budgets(), (steps) => {
      const board = new Board(40);
      let lastRiseMs = -Infinity;
      board.step(100);
      for (const [budgetBytes, afterMs] of steps) {
        const before = board.planBytes;
        if (board.step(budgetBytes, afterMs).action === 'keep') {
          continue;
        }
        if (board.planBytes >= before) {
          assert.ok(board.nowMs - lastRiseMs >= RISE_MS, `rises at ${lastRiseMs} and ${board.nowMs}`);
          lastRiseMs = board.nowMs;
        } else {
          assert.ok(board.planBytes <= before * (1 - BAND_RATIO) || board.planBytes === board.smallestBytes);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('decide() lets pressure fall one step at a time, CALM_MS apart', () => {
  fc.assert(
    fc.property(budgets(), (steps) => {
      const board = new Board(40);
      let held = 0;
      let changedMs = 0;
      for (const [budgetBytes, afterMs] of steps) {
        const next = ORDER.indexOf(board.step(budgetBytes, afterMs).state.pressure);
        if (next < held) {
          assert.equal(next, held - 1);
          assert.ok(board.nowMs - changedMs >= CALM_MS);
        }
        changedMs = next === held ? changedMs : board.nowMs;
        held = next;
      }
    }),
    { numRuns: 500 },
  );
});

function budgets(): fc.Arbitrary<[number, number][]> {
  return fc.array(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.nat(RISE_MS)), { maxLength: 60 });
}

/** Action, pressure and the bytes that the plan is ordered for. */
function shown({ action, state }: PressureDecision): string {
  return `${action} ${state.pressure} for ${state.planned?.targetBytes}`;
}
