/** State of the demo, which pure functions make of the agent's messages. */
import type { NodeHealth, NodeInfo, PredictedMemory } from '../shared/wire/index.js';

/** Number of last latencies that are kept for the median. */
const RECENT = 20;

/** A plan and the figures of the time while it was in force. */
export interface PlanRun {
  readonly notation: string;
  readonly predicted: PredictedMemory;
  /** Time at which the plan came into force. */
  readonly sinceSeconds: number;
  readonly frames: number;
  /** Latencies of the last frames, at most RECENT. */
  readonly latencyMs: readonly number[];
  /** Largest private memory of the executor above idle; 0 before the first frame. */
  readonly measuredBytes: number;
}

export interface DemoState {
  /** Time since the agent started. */
  readonly elapsedSeconds: number;
  readonly untiled: PredictedMemory;
  readonly health: NodeHealth | undefined;
  /** Plans in the order of time; the last one is in force. */
  readonly runs: readonly PlanRun[];
}

/** The part of an event that the demo shows. */
export interface FrameEvent {
  readonly plan: string;
  readonly latencyMs: number;
}

export function beginDemo(untiled: PredictedMemory): DemoState {
  return { elapsedSeconds: 0, untiled, health: undefined, runs: [] };
}

/** Adds a run if the plan has changed. */
export function takeInfo(state: DemoState, { models }: NodeInfo): DemoState {
  const plan = models[0]?.plan ?? null;
  if (plan === null || plan.notation === state.runs.at(-1)?.notation) return state;
  const run = { ...plan, sinceSeconds: state.elapsedSeconds, frames: 0, latencyMs: [], measuredBytes: 0 };
  return { ...state, runs: [...state.runs, run] };
}

/** Adds a frame to its plan, which may be an earlier one than the plan in force. */
export function takeEvent(state: DemoState, { plan, latencyMs }: FrameEvent): DemoState {
  const at = state.runs.findLastIndex(({ notation }) => notation === plan);
  return updateRun(state, at, (run) => ({
    ...run,
    frames: run.frames + 1,
    latencyMs: [...run.latencyMs, latencyMs].slice(-RECENT),
  }));
}

/** Adds measured memory to the plan that ran last. The plan in force may not have run yet. */
export function takeHealth(state: DemoState, health: NodeHealth): DemoState {
  const { privateBytes, idleBytes } = health.executor;
  const peakBytes = health.models[0]?.memory?.measuredBytes ?? 0;
  const at = state.runs.findLastIndex(({ frames }) => frames > 0);
  return updateRun({ ...state, health }, at, (run) => ({
    ...run,
    measuredBytes: Math.max(run.measuredBytes, peakBytes, privateBytes - idleBytes),
  }));
}

export function hasFrames({ runs }: DemoState): boolean {
  return runs.some(({ frames }) => frames > 0);
}

/** Whether frames were processed before the last change of plan and after it. */
export function hasAdapted(state: DemoState): boolean {
  const before = { ...state, runs: state.runs.slice(0, -1) };
  return hasFrames(before) && (state.runs.at(-1)?.frames ?? 0) > 0;
}

function updateRun(state: DemoState, at: number, change: (run: PlanRun) => PlanRun): DemoState {
  return { ...state, runs: state.runs.map((run, index) => (index === at ? change(run) : run)) };
}
