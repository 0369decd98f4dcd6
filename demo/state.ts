/** What the demo knows of the agent, from what the agent says of itself over MQTT. Pure. */
import type { NodeHealth, NodeInfo, PredictedMemory } from '../shared/wire/index.js';

/** Latencies that the median is taken of. */
const RECENT = 20;

/** A plan, and what was seen of it while it was in force. */
export interface PlanRun {
  readonly notation: string;
  readonly predicted: PredictedMemory;
  readonly sinceSeconds: number;
  readonly frames: number;
  /** The last RECENT. */
  readonly latencyMs: readonly number[];
  /** Most private memory of the executor above idle; 0 before the first frame. */
  readonly measuredBytes: number;
}

export interface DemoState {
  /** Since the agent started. */
  readonly elapsedSeconds: number;
  readonly untiled: PredictedMemory;
  readonly health: NodeHealth | undefined;
  /** In order; the last one is in force. */
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

export function takeInfo(state: DemoState, { models }: NodeInfo): DemoState {
  const plan = models[0]?.plan ?? null;
  if (plan === null || plan.notation === state.runs.at(-1)?.notation) return state;
  const run = { ...plan, sinceSeconds: state.elapsedSeconds, frames: 0, latencyMs: [], measuredBytes: 0 };
  return { ...state, runs: [...state.runs, run] };
}

/** A frame that began under the plan before counts there. */
export function takeEvent(state: DemoState, { plan, latencyMs }: FrameEvent): DemoState {
  const at = state.runs.findLastIndex(({ notation }) => notation === plan);
  return updateRun(state, at, (run) => ({
    ...run,
    frames: run.frames + 1,
    latencyMs: [...run.latencyMs, latencyMs].slice(-RECENT),
  }));
}

/** Memory is that of the plan that ran last, which the one in force may not have done yet. */
export function takeHealth(state: DemoState, health: NodeHealth): DemoState {
  const { privateBytes, idleBytes } = health.executor;
  const peakBytes = health.models[0]?.measured?.workingBytes ?? 0;
  const at = state.runs.findLastIndex(({ frames }) => frames > 0);
  return updateRun({ ...state, health }, at, (run) => ({
    ...run,
    measuredBytes: Math.max(run.measuredBytes, peakBytes, privateBytes - idleBytes),
  }));
}

export function hasFrames({ runs }: DemoState): boolean {
  return runs.some(({ frames }) => frames > 0);
}

/** Whether the agent changed its plan, and frames went on under the new one. */
export function hasAdapted(state: DemoState): boolean {
  const before = { ...state, runs: state.runs.slice(0, -1) };
  return hasFrames(before) && (state.runs.at(-1)?.frames ?? 0) > 0;
}

function updateRun(state: DemoState, at: number, change: (run: PlanRun) => PlanRun): DemoState {
  return { ...state, runs: state.runs.map((run, index) => (index === at ? change(run) : run)) };
}
