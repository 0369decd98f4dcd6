/** Describes the state of the demo in words. The same state gives the same lines. */

import { formatBytes, formatMs, formatTable } from '../agent/cli/print.js';
import { median } from '../shared/predict/index.js';
import type { CameraReport, PredictedMemory } from '../shared/wire/index.js';
import { DEMO_MODEL } from './demo-model.js';
import type { DemoState, PlanRun } from './state.js';
import { hasAdapted } from './state.js';

export interface Place {
  readonly server: string;
  readonly node: string;
  /** Folder in which the commands work. */
  readonly folder: string;
}

/** Lines that are printed once the agent is ready. */
export function describeStart({ server, node, folder }: Place): readonly string[] {
  const command = (rest: string) => `  node dist/agent/main.js ${rest}`;
  return [
    "The agent runs YOLOv2's first 16 layers and a classifier on a synthetic camera.",
    'The weights are random, so its detections mean nothing.',
    'After a while its budget is lowered: the plan changes, and frames continue.',
    'Ctrl-C ends the demo.',
    '',
    `To ask the agent, open another terminal in ${folder} and run:`,
    command(`infer --server ${server} --node ${node} --model ${DEMO_MODEL} --image FILE`),
    command(`status --server ${server} --node ${node}`),
    '',
  ];
}

/** All that the demo shows, as lines. */
export function describeDemo(state: DemoState): readonly string[] {
  const { elapsedSeconds, health, runs } = state;
  return [
    `after      ${elapsedSeconds.toFixed(0)} s`,
    `budget     ${describeBudget(state)}`,
    `executor   ${describeExecutor(state)}`,
    `frames     ${describeFrames(health?.cameras[0])}`,
    '',
    ...planTable(state),
    '',
    describeChange(runs),
  ];
}

/** The state in one line, for output that isn't a terminal. */
export function describeBriefly(state: DemoState): string {
  const run = state.runs.at(-1);
  const { processed = 0, replaced = 0 } = state.health?.cameras[0] ?? {};
  return [
    `${state.elapsedSeconds.toFixed(0)} s: budget ${describeBudget(state)}`,
    `executor ${describeExecutor(state)}`,
    `plan ${run?.notation ?? 'none'}`,
    `${processed} frames, ${replaced} replaced`,
    describeLatency(run),
  ].join('; ');
}

/** The last change of plan. */
export function describeChange(runs: readonly PlanRun[]): string {
  const [before, now] = runs.slice(-2);
  if (before === undefined || now === undefined) return 'no change of plan yet';
  return `plan changed at ${now.sinceSeconds.toFixed(0)} s: ${before.notation} -> ${now.notation}`;
}

/** Line that is printed at the end. */
export function describeEnd(state: DemoState): string {
  const total = state.runs.reduce((sum, { frames }) => sum + frames, 0);
  const { replaced = 0, failed = 0 } = state.health?.cameras[0] ?? {};
  const seen = `${total} frames in ${state.elapsedSeconds.toFixed(0)} s, ${replaced} replaced, ${failed} failed`;
  return `${seen}; ${describeAdaption(state)}`;
}

function describeAdaption(state: DemoState): string {
  const { runs } = state;
  if (runs.length < 2) return 'the plan did not change';
  if (!hasAdapted(state)) return 'the plan changed, but frames were not seen both before and after it';
  const after = runs.at(-1)?.frames ?? 0;
  const before = runs.reduce((sum, { frames }) => sum + frames, 0) - after;
  return `frames continued as the plan changed: ${before} before, ${after} after`;
}

function describeBudget({ health }: DemoState): string {
  return health === undefined ? '-' : `${formatBytes(health.budget.bytes)} (${health.budget.bound})`;
}

function describeExecutor({ health }: DemoState): string {
  if (health === undefined) return '-';
  const { privateBytes, idleBytes } = health.executor;
  return `${formatBytes(Math.max(0, privateBytes - idleBytes))} private memory above idle`;
}

function describeFrames(camera: CameraReport | undefined): string {
  if (camera === undefined) return '-';
  const { processed, replaced, skipped, failed } = camera;
  return `${processed} processed, ${replaced} replaced by a later one, ${skipped} skipped, ${failed} failed`;
}

function planTable({ untiled, runs }: DemoState): readonly string[] {
  const rows = runs.map((run) => [
    run.notation,
    describePrediction(run.predicted),
    run.measuredBytes === 0 ? '-' : formatBytes(run.measuredBytes),
    describeLatency(run),
    String(run.frames),
  ]);
  const untiledRow = ['untiled', describePrediction(untiled), '-', '-', '-'];
  const header = ['plan, the last in force', 'predicted + weights', 'measured', 'latency', 'frames'];
  return formatTable(header, [untiledRow, ...rows]).split('\n');
}

function describePrediction({ workingBytes, weightsBytes }: PredictedMemory): string {
  return `${formatBytes(workingBytes)} + ${formatBytes(weightsBytes)}`;
}

function describeLatency(run: PlanRun | undefined): string {
  return run === undefined || run.frames === 0 ? '-' : formatMs(median(run.latencyMs));
}
