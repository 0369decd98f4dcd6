/**
 * The node's whole state at one moment. Health, info and everything else that shows the node are pure renderings of
 * it.
 */
import pidusage from 'pidusage';
import type { CameraReport, PredictedMemory } from '../../shared/wire/index.js';
import type { BoundBytes } from '../board/budget.js';
import type { Pressure } from '../board/pressure.js';
import type { ExecutorMemory } from '../engine/inference-engine.js';
import type { JobCounts, JobKind } from '../engine/request-queue.js';
import type { SubscriberCounts } from '../events/event-hub.js';

export interface ModelSnapshot {
  readonly name: string;
  readonly input: { readonly name: string; readonly width: number; readonly height: number };
  readonly pressure: Pressure;
  /** Null until the first plan is found. */
  readonly plan: { readonly notation: string; readonly predicted: PredictedMemory } | null;
  readonly smallestBytes: number;
  /** The last run that was measured. */
  readonly measured: { readonly workingBytes: number; readonly latencyMs: number } | null;
}

export interface ProcessUsage {
  readonly pid: number;
  readonly name: 'agent' | 'executor';
  readonly cpuPercent: number;
  readonly rssBytes: number;
}

export interface NodeSnapshot {
  /** ISO 8601. */
  readonly at: string;
  readonly version: string;
  readonly node: string;
  readonly maxPayloadBytes: number;
  readonly budget: BoundBytes;
  readonly executor: ExecutorMemory;
  readonly models: readonly ModelSnapshot[];
  readonly cameras: readonly CameraReport[];
  readonly queue: Readonly<Record<JobKind, JobCounts>>;
  readonly events: readonly SubscriberCounts[];
  /** Empty where the system can't tell. */
  readonly processes: readonly ProcessUsage[];
}

/** The parts that a snapshot reads; each gives its state at once. */
export interface SnapshotSources {
  readonly identity: Pick<NodeSnapshot, 'version' | 'node' | 'maxPayloadBytes'>;
  readonly watch: { readonly budget: BoundBytes };
  readonly engine: {
    memory(): ExecutorMemory;
    readonly counts: NodeSnapshot['queue'];
    readonly executorPid: number;
  };
  readonly planners: { readonly all: readonly PlannerState[] };
  readonly cameras: { readonly counts: readonly CameraReport[] };
  readonly hub: { readonly counts: readonly SubscriberCounts[] };
}

interface PlannerState extends Pick<ModelSnapshot, 'name' | 'pressure' | 'smallestBytes'> {
  readonly network: { readonly input: ModelSnapshot['input'] };
  readonly plan: { readonly notation: string; readonly predicted: PredictedMemory } | undefined;
  readonly measured: { readonly workingBytes: number; readonly latencyMs: number } | undefined;
}

/** Our own state is read before the first wait, since the agent may stop meanwhile. @throws {Error} without an executor. */
export async function takeSnapshot(sources: SnapshotSources): Promise<NodeSnapshot> {
  const { identity, watch, engine, planners, cameras, hub } = sources;
  const executorPid = engine.executorPid;
  const own = {
    at: new Date().toISOString(),
    ...identity,
    budget: watch.budget,
    executor: engine.memory(),
    models: planners.all.map(describeModel),
    cameras: cameras.counts,
    queue: engine.counts,
    events: hub.counts,
  };
  return { ...own, processes: await readProcesses(executorPid) };
}

function describeModel(planner: PlannerState): ModelSnapshot {
  const { name, pressure, smallestBytes, network, plan, measured } = planner;
  const { name: inputName, width, height } = network.input;
  return {
    name,
    input: { name: inputName, width, height },
    pressure,
    plan: plan === undefined ? null : { notation: plan.notation, predicted: plan.predicted },
    smallestBytes,
    measured:
      measured === undefined ? null : { workingBytes: measured.workingBytes, latencyMs: measured.latencyMs },
  };
}

interface Usage {
  readonly cpu: number;
  readonly memory: number;
}

/** A process that has just ended, or a system without its tools, costs the table and not the snapshot. */
async function readProcesses(executorPid: number): Promise<readonly ProcessUsage[]> {
  // pidusage gives null for a process that is gone, which its types don't say.
  const usage: Readonly<Record<string, Usage | null>> = await pidusage([process.pid, executorPid]).catch(
    () => ({}),
  );
  return Object.entries(usage).flatMap(([pid, used]) => {
    if (used === null) return [];
    const name = Number(pid) === executorPid ? 'executor' : 'agent';
    return [{ pid: Number(pid), name, cpuPercent: used.cpu, rssBytes: used.memory }];
  });
}
