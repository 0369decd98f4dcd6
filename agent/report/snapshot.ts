/**
 * The node's whole state at one moment. Health, info and everything else that shows the node are pure renderings of
 * it.
 */
import type {
  CameraReport,
  CheckState,
  NodeHealth,
  PlanMemory,
  PredictedMemory,
  Pressure,
  StoreProblem,
} from '../../shared/wire/index.js';
import type { BoundBytes } from '../board/budget.js';
import type { Contract } from '../board/executor-group.js';
import type { CgroupMemory } from '../board/read-memory.js';
import { readWrittenBytes } from '../board/written-bytes.js';
import type { ExecutorEnds, ExecutorMemory } from '../engine/inference-engine.js';
import type { JobCounts, JobKind } from '../engine/request-queue.js';
import type { SubscriberCounts } from '../events/event-hub.js';
import type { ServiceMemory } from './service-memory.js';
import { readServiceMemory } from './service-memory.js';
import type { SpoolState } from './spool.js';

export interface ModelSnapshot {
  readonly name: string;
  readonly input: { readonly name: string; readonly width: number; readonly height: number };
  readonly pressure: Pressure;
  /** Null until the first plan is found. */
  readonly plan: { readonly notation: string; readonly predicted: PredictedMemory } | null;
  readonly smallestBytes: number;
  readonly memory: PlanMemory | null;
}

type StoreState = NodeHealth['store'];

export interface NodeSnapshot {
  /** ISO 8601. */
  readonly at: string;
  readonly version: string;
  readonly node: string;
  readonly maxPayloadBytes: number;
  /** Why the configuration isn't used; null if it is. */
  readonly configFault: string | null;
  readonly budget: BoundBytes;
  readonly executor: ExecutorMemory;
  /** How the kernel holds the executor to its plan. */
  readonly contract: Contract;
  readonly ends: ExecutorEnds;
  readonly store: StoreState;
  readonly service: ServiceMemory;
  readonly models: readonly ModelSnapshot[];
  /** Models that can't be served. */
  readonly failures: readonly { readonly name: string; readonly reason: string }[];
  readonly check: CheckState;
  readonly spool: SpoolState;
  readonly cameras: readonly CameraReport[];
  readonly queue: Readonly<Record<JobKind, JobCounts>>;
  readonly events: readonly SubscriberCounts[];
}

/** The parts that a snapshot reads; each gives its state at once. */
export interface SnapshotSources {
  readonly identity: Pick<NodeSnapshot, 'version' | 'node' | 'maxPayloadBytes' | 'configFault'>;
  readonly watch: { readonly budget: BoundBytes; readonly cgroups: readonly CgroupMemory[] };
  readonly engine: {
    memory(): ExecutorMemory;
    readonly contract: Contract;
    readonly ends: ExecutorEnds;
    readonly counts: NodeSnapshot['queue'];
  };
  readonly planners: {
    readonly all: readonly PlannerState[];
    readonly failures: NodeSnapshot['failures'];
    readonly searchPid: number | undefined;
  };
  readonly check: { readonly state: CheckState };
  readonly spool: { readonly state: SpoolState };
  readonly cameras: { readonly counts: readonly CameraReport[]; readonly pids: readonly number[] };
  readonly hub: { readonly counts: readonly SubscriberCounts[] };
  readonly store: { readonly path: string; readonly problem: StoreProblem | undefined };
}

interface PlannerState extends Pick<ModelSnapshot, 'name' | 'pressure' | 'smallestBytes'> {
  readonly network: { readonly input: ModelSnapshot['input'] };
  readonly plan: { readonly notation: string; readonly predicted: PredictedMemory } | undefined;
  readonly memory: PlanMemory | null;
}

export function takeSnapshot(sources: SnapshotSources): NodeSnapshot {
  const { identity, watch, engine, planners, check, spool, cameras, hub, store } = sources;
  const executor = engine.memory();
  const pids = [process.pid, executor.pid ?? [], planners.searchPid ?? [], cameras.pids].flat();
  return {
    at: new Date().toISOString(),
    ...identity,
    budget: watch.budget,
    executor,
    contract: engine.contract,
    ends: engine.ends,
    store: { path: store.path, problem: store.problem ?? null, writtenBytes: readWrittenBytes() },
    service: readServiceMemory(pids, watch.cgroups),
    models: planners.all.map(describeModel),
    failures: planners.failures,
    check: check.state,
    spool: spool.state,
    cameras: cameras.counts,
    queue: engine.counts,
    events: hub.counts,
  };
}

function describeModel(planner: PlannerState): ModelSnapshot {
  const { name, pressure, smallestBytes, network, plan, memory } = planner;
  const { name: inputName, width, height } = network.input;
  return {
    name,
    input: { name: inputName, width, height },
    pressure,
    plan: plan === undefined ? null : { notation: plan.notation, predicted: plan.predicted },
    smallestBytes,
    memory,
  };
}
