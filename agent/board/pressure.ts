/**
 * How tight memory is, and when to plan anew. Pure: time comes in, from a clock that doesn't jump.
 *
 * Down: a plan is ordered for BAND_RATIO less than the budget (`targetBytes`), so a budget that dips within the
 * band exceeds no plan. Once the plan in force exceeds the budget, a smaller one is ordered at once.
 * Up: a larger plan is ordered when the budget has been above the band for RISE_MS without a break, and for the
 * least it was in that time. So between two orders upwards there are RISE_MS, and each order down shrinks the
 * target by BAND_RATIO at least or goes to the smallest plan: their number is logarithmic.
 * Level: rises at once, falls one step after LEVEL_CALM_MS below it.
 *
 * What the caller does with an order: plan for `state.planned.targetBytes`, and pass the new plan's bytes as
 * `planBytes` when it is in force. An order stands while it is carried out, it isn't repeated with each sample;
 * it is repeated after RETRY_MS if by then there is no plan that fits. Another model or input size begins at
 * `INITIAL_PRESSURE`.
 *
 * Level 3 (out: the executor is replaced) isn't decided here yet. It has to be timed on what is measured, not on
 * `level`, which stays at 2 for a while after one bad sample.
 */

/** 0 ok; 1 tight: the plan in force exceeds the budget; 2 critical: even the smallest plan does. */
export type PressureLevel = 0 | 1 | 2;

/**
 * How far the budget may move without a new plan. Chosen, not measured: on a small board with 300 MB to spare
 * cron, logs and logins come and go with some 10 MB, less than this; and what a plan gives away for it is a
 * tenth of its memory, while changing plans costs loading all segments anew, several frames' time.
 */
export const BAND_RATIO = 0.1;

/** How long the budget must be higher before a larger plan: as systemd-oomd's window for pressure. */
export const RISE_MS = 30_000;

/** How long it must be better before the level falls: the longest time between samples, so one more agrees. */
export const LEVEL_CALM_MS = 5_000;

/** When an order that brought no plan that fits is given again: the predictor may have learnt since. */
export const RETRY_MS = 10_000;

/** The last order. */
export interface PlannedFor {
  readonly budgetBytes: number;
  /** What the plan may need: the budget less the band, but not below the smallest plan. */
  readonly targetBytes: number;
  readonly atMs: number;
}

export interface PressureState {
  readonly level: PressureLevel;
  /** Since when the level should be lower. */
  readonly calmSinceMs: number | undefined;
  readonly planned: PlannedFor | undefined;
  /** Since when the budget has been above the band, and the least it was since. */
  readonly higher: { readonly sinceMs: number; readonly leastBytes: number } | undefined;
}

export interface PressureInputs {
  readonly budgetBytes: number;
  /** What the plan in force needs; 0 while there is none. */
  readonly planBytes: number;
  /** What the smallest plan of this model needs. */
  readonly smallestBytes: number;
  readonly nowMs: number;
}

export interface PressureDecision {
  readonly state: PressureState;
  readonly action: 'keep' | 'replan';
  readonly level: PressureLevel;
}

export const INITIAL_PRESSURE: PressureState = {
  level: 0,
  calmSinceMs: undefined,
  planned: undefined,
  higher: undefined,
};

/** One step: the same state and inputs give the same decision. */
export function decide(state: PressureState, inputs: PressureInputs): PressureDecision {
  const settled = settleLevel(state, inputs);
  const higher = watchRise(state, inputs);
  const orderBytes = bytesToPlanFor({ ...state, higher }, inputs);
  if (orderBytes === undefined) {
    return { state: { ...state, ...settled, higher }, action: 'keep', level: settled.level };
  }
  const planned = planFor(orderBytes, inputs);
  return { state: { ...settled, planned, higher: undefined }, action: 'replan', level: settled.level };
}

function settleLevel(
  { level, calmSinceMs }: PressureState,
  inputs: PressureInputs,
): Pick<PressureState, 'level' | 'calmSinceMs'> {
  const measured = measureLevel(inputs);
  if (measured >= level) {
    return { level: measured, calmSinceMs: undefined };
  }
  const sinceMs = calmSinceMs ?? inputs.nowMs;
  if (inputs.nowMs - sinceMs < LEVEL_CALM_MS) {
    return { level, calmSinceMs: sinceMs };
  }
  // A step further down has to wait again.
  const lower = level === 2 ? 1 : 0;
  return { level: lower, calmSinceMs: measured < lower ? inputs.nowMs : undefined };
}

function measureLevel({ budgetBytes, planBytes, smallestBytes }: PressureInputs): PressureLevel {
  if (smallestBytes > budgetBytes) {
    return 2;
  }
  return planBytes > budgetBytes ? 1 : 0;
}

function watchRise(
  { planned, higher }: PressureState,
  { budgetBytes, nowMs }: PressureInputs,
): PressureState['higher'] {
  if (planned === undefined || budgetBytes <= planned.budgetBytes * (1 + BAND_RATIO)) {
    return undefined;
  }
  return {
    sinceMs: higher?.sinceMs ?? nowMs,
    leastBytes: Math.min(higher?.leastBytes ?? budgetBytes, budgetBytes),
  };
}

/** The budget to order a plan for; undefined if the last order stands. */
function bytesToPlanFor(
  { planned, higher }: PressureState,
  { budgetBytes, planBytes, smallestBytes, nowMs }: PressureInputs,
): number | undefined {
  if (planned === undefined) {
    return budgetBytes;
  }
  const mustShrink = planBytes > Math.max(budgetBytes, smallestBytes);
  const isOrdered = planned.targetBytes <= Math.max(budgetBytes, smallestBytes);
  if (mustShrink && (!isOrdered || nowMs - planned.atMs >= RETRY_MS)) {
    // An order given again isn't a way upwards.
    return Math.min(budgetBytes, planned.budgetBytes);
  }
  return higher !== undefined && nowMs - higher.sinceMs >= RISE_MS ? higher.leastBytes : undefined;
}

/** Below the smallest plan nothing can be ordered, so that is what the next rise is measured from. */
function planFor(bytes: number, { smallestBytes, nowMs }: PressureInputs): PlannedFor {
  const budgetBytes = Math.max(bytes, smallestBytes);
  const targetBytes = Math.max(Math.floor(budgetBytes * (1 - BAND_RATIO)), smallestBytes);
  return { budgetBytes, targetBytes, atMs: nowMs };
}
