/** A node's reports, JSON on its retained topics. docs/protocol.md, section 1. */

/** `tight`: the plan in force exceeds the budget. `critical`: even the smallest plan does. */
export type Pressure = 'ok' | 'tight' | 'critical';

export interface PredictedMemory {
  readonly workingBytes: number;
  readonly weightsBytes: number;
  readonly peakBytes: number;
}

/** Memory of the plan in force, in bytes above the executor's idle memory. */
export interface PlanMemory {
  readonly promisedBytes: number;
  /** Most that runs of the last minute or two took; null before the first run. */
  readonly measuredBytes: number | null;
  /** Of the last run. */
  readonly latencyMs: number | null;
}

/** What was wrong with the store's file when it was opened. */
export interface StoreProblem {
  readonly kind: 'broken' | 'newer' | 'unusable';
  readonly reason: string;
  /** Where the file was put; null if it stayed. */
  readonly asidePath: string | null;
  /** The copy of an older version that took its place; null if there was none. */
  readonly copyPath: string | null;
  /** Whether nothing is kept over a restart. */
  readonly isMemory: boolean;
}

/** A model whose plan doesn't answer a stored picture as it should. */
export interface CheckFault {
  readonly model: string;
  readonly notation: string;
  readonly reason: string;
}

export interface CheckState {
  /** Of the last check, ISO 8601; null before the first one. */
  readonly at: string | null;
  readonly passed: number;
  readonly failed: number;
  /** What is wrong now; null if nothing is. The node isn't ready then. */
  readonly fault: CheckFault | null;
}

/** `<base>/<node>/info` */
export interface NodeInfo {
  readonly version: string;
  readonly node: string;
  readonly maxPayloadBytes: number;
  readonly models: readonly {
    readonly name: string;
    readonly inferTopic: string;
    readonly input: { readonly name: string; readonly width: number; readonly height: number };
    /** Null until the first plan is found. */
    readonly plan: { readonly notation: string; readonly predicted: PredictedMemory } | null;
    /** Least budget that a plan meets; 0 until it is known. */
    readonly smallestBytes: number;
  }[];
}

/** `<base>/<node>/health` */
export interface NodeHealth {
  readonly at: string;
  /** Why the configuration isn't used, so that no model is served; null if it is. */
  readonly configFault: string | null;
  readonly budget: { readonly bytes: number; readonly bound: string };
  readonly executor: {
    /** Private memory that is not swapped out. */
    readonly residentBytes: number;
    /** Private memory including swap. */
    readonly privateBytes: number;
    readonly idleBytes: number;
    /** How the kernel holds the executor to its plan; the reason where it doesn't. */
    readonly contract: {
      readonly kind: 'cgroup2' | 'cgroup1' | 'none';
      readonly reason?: string;
      readonly limitBytes?: number;
    };
    /** Executors that ended unasked since the start, and why the last one did. */
    readonly ends: {
      readonly count: number;
      readonly last: { readonly reason: string; readonly text: string; readonly at: string } | null;
    };
  };
  readonly store: {
    readonly path: string;
    /** What was wrong with the file at the start; null if nothing was. */
    readonly problem: StoreProblem | null;
    /** Bytes that the agent has written to disks since its start; null where the kernel doesn't count. */
    readonly writtenBytes: number | null;
  };
  /** All processes of the service together. */
  readonly service: {
    /** Private memory, swap included. */
    readonly privateBytes: number;
    /** Proportional set size, files included; null where the kernel doesn't tell. */
    readonly pssBytes: number | null;
    /** The group that the agent runs in; null without one. Others may run in it, too. */
    readonly cgroup: {
      readonly path: string;
      readonly currentBytes: number;
      readonly maxBytes: number | null;
    } | null;
  };
  readonly models: readonly {
    readonly name: string;
    readonly pressure: Pressure;
    readonly plan: string | null;
    /** Null until there is a plan. */
    readonly memory: PlanMemory | null;
    /** Why it can't be served; null if it can. */
    readonly failure: string | null;
  }[];
  /** Whether the node answers a stored picture as it should. */
  readonly check: CheckState;
  /** Messages that wait for the broker. */
  readonly spool: {
    readonly waiting: number;
    readonly waitingBytes: number;
    /** Dropped for want of room, or for their age. */
    readonly dropped: number;
  };
  readonly cameras: readonly CameraReport[];
  /** Jobs of the executor's queue by kind. */
  readonly queue: Readonly<Record<'frame' | 'request' | 'upkeep' | 'snapshot', JobReport>>;
  /** Events by subscriber. */
  readonly events: readonly EventReport[];
  readonly processes: readonly {
    readonly pid: number;
    readonly name: string;
    readonly cpuPercent: number;
    readonly rssBytes: number;
  }[];
}

/** Jobs in the queue now, and what became of the others since the start. */
export interface JobReport {
  readonly waiting: number;
  readonly running: number;
  readonly done: number;
  readonly failed: number;
  /** Refused for want of room, or while the node stops. */
  readonly refused: number;
  /** Not run, since their deadline passed first. */
  readonly expired: number;
  readonly cancelled: number;
}

/** Events for one part of the node; the oldest are dropped where it is too slow. */
export interface EventReport {
  readonly subscriber: string;
  readonly delivered: number;
  readonly dropped: number;
  readonly waiting: number;
}

/** `starting`: no frame has come yet. `waiting`: the source was lost and is tried again soon. `disabled`: switched off. */
/** `failed`: its configuration doesn't fit its model. */
export type CameraState = 'starting' | 'running' | 'waiting' | 'disabled' | 'failed';

export interface CameraStatus {
  readonly state: CameraState;
  /** Why the source was lost last, without credentials; null while frames come. */
  readonly reason: string | null;
}

/** `<base>/<node>/cameras/<camera>/state` */
export interface CameraStateReport extends CameraStatus {
  readonly enabled: boolean;
}

/** State of a camera, and numbers of frames by their fate. */
export interface CameraReport extends CameraStatus {
  readonly name: string;
  /** Images of the source that couldn't be decoded before they became frames. */
  readonly broken: number;
  readonly captured: number;
  readonly taken: number;
  readonly replaced: number;
  readonly processed: number;
  readonly skipped: number;
  /** Not run, since nothing moved. */
  readonly still: number;
  readonly failed: number;
}
