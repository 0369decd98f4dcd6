/**
 * Decides how tight memory is, and when to plan anew. Pure: the time is an input, from a clock that doesn't jump.
 *
 * Down: a plan is ordered for BAND_RATIO less than the budget (`targetBytes`), so a budget that dips within the
 * band exceeds no plan. Once the plan in force exceeds the budget, a smaller one is ordered at once.
 * Up: a larger plan is ordered when the budget has been above the band for RISE_MS without a break, and for the
 * least it was in that time, in which no task waited for memory. So between two orders upwards there are RISE_MS, and each order down shrinks the
 * target by BAND_RATIO at least or goes to the smallest plan: their number is logarithmic.
 * Pressure: rises at once, falls one step after CALM_MS below it.
 *
 * The caller picks a plan for `state.planned.targetBytes` at once, and passes its bytes as `planBytes` from then on.
 * Another model, input size or list of plans begins at `INITIAL_PRESSURE`.
 */
import { elementAt } from '../../shared/graph/index.js';
import type { Pressure } from '../../shared/wire/index.js';

/** Pressures from the least to the most. */
const ORDER: readonly Pressure[] = ['ok', 'tight', 'critical'];

/**
 * Share by which the budget may move without a new plan. Chosen, not measured. On a small board with 300 MB to spare
 * cron, logs and logins come and go with some 10 MB, less than this. A plan gives a tenth of its memory away for it,
 * while a change of plan loads all segments anew, which takes several frames' time.
 */
export const BAND_RATIO = 0.1;

/** Time for which the budget must be higher before a larger plan, as systemd-oomd's window for pressure. */
export const RISE_MS = 30_000;

/** Time for which memory must be better before pressure falls: the longest between samples, so that one more agrees. */
export const CALM_MS = 5_000;

/** The last order. */
export interface PlannedFor {
  readonly budgetBytes: number;
  /** Bytes that the plan may need: the budget less the band, but not below the smallest plan. */
  readonly targetBytes: number;
}

export interface PressureState {
  readonly pressure: Pressure;
  /** Since when the pressure should be lower. */
  readonly calmSinceMs: number | undefined;
  readonly planned: PlannedFor | undefined;
  /** Since when the budget has been above the band, and the least it was since. */
  readonly higher: { readonly sinceMs: number; readonly leastBytes: number } | undefined;
}

export interface PressureInputs {
  readonly budgetBytes: number;
  /** Bytes of the plan in force; 0 while there is none. */
  readonly planBytes: number;
  /** Bytes of the smallest plan of this model. */
  readonly smallestBytes: number;
  readonly nowMs: number;
  /** The plan in force broke its promise or got its executor killed, whatever it is said to need. */
  readonly mustLeave?: boolean;
  /** Tasks wait for memory: no time to grow. */
  readonly isStalled?: boolean;
}

export interface PressureDecision {
  readonly state: PressureState;
  readonly action: 'keep' | 'replan';
}

export const INITIAL_PRESSURE: PressureState = {
  pressure: 'ok',
  calmSinceMs: undefined,
  planned: undefined,
  higher: undefined,
};

/** One step: the same state and inputs give the same decision. */
export function decide(state: PressureState, inputs: PressureInputs): PressureDecision {
  const settled = settlePressure(state, inputs);
  const higher = watchRise(state, inputs);
  const orderBytes = bytesToPlanFor({ ...state, higher }, inputs);
  if (orderBytes === undefined) {
    return { state: { ...state, ...settled, higher }, action: 'keep' };
  }
  const planned = planFor(orderBytes, inputs);
  return { state: { ...settled, planned, higher: undefined }, action: 'replan' };
}

function settlePressure(
  { pressure, calmSinceMs }: PressureState,
  inputs: PressureInputs,
): Pick<PressureState, 'pressure' | 'calmSinceMs'> {
  const measured = ORDER.indexOf(measurePressure(inputs));
  const held = ORDER.indexOf(pressure);
  if (measured >= held) return { pressure: elementAt(ORDER, measured), calmSinceMs: undefined };
  const sinceMs = calmSinceMs ?? inputs.nowMs;
  if (inputs.nowMs - sinceMs < CALM_MS) return { pressure, calmSinceMs: sinceMs };
  // Another step down has to wait again.
  const lower = held - 1;
  return { pressure: elementAt(ORDER, lower), calmSinceMs: measured < lower ? inputs.nowMs : undefined };
}

function measurePressure({ budgetBytes, planBytes, smallestBytes }: PressureInputs): Pressure {
  if (smallestBytes > budgetBytes) return 'critical';
  return planBytes > budgetBytes ? 'tight' : 'ok';
}

function watchRise(
  { planned, higher }: PressureState,
  { budgetBytes, nowMs, isStalled = false }: PressureInputs,
): PressureState['higher'] {
  if (isStalled || planned === undefined || budgetBytes <= planned.budgetBytes * (1 + BAND_RATIO)) {
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
  { budgetBytes, planBytes, smallestBytes, nowMs, mustLeave = false }: PressureInputs,
): number | undefined {
  if (planned === undefined) return budgetBytes;
  const mustShrink = planBytes > Math.max(budgetBytes, smallestBytes);
  // An order given again isn't a way upwards.
  if (mustShrink || mustLeave) return Math.min(budgetBytes, planned.budgetBytes);
  return higher !== undefined && nowMs - higher.sinceMs >= RISE_MS ? higher.leastBytes : undefined;
}

/** Nothing smaller than the smallest plan can be ordered, so the next rise is measured from there. */
function planFor(bytes: number, { smallestBytes }: PressureInputs): PlannedFor {
  const budgetBytes = Math.max(bytes, smallestBytes);
  const targetBytes = Math.max(Math.floor(budgetBytes * (1 - BAND_RATIO)), smallestBytes);
  return { budgetBytes, targetBytes };
}
