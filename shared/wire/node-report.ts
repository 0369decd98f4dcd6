/** A node's reports, JSON on its retained topics. docs/protocol.md, section 1. */

export interface PredictedMemory {
  readonly workingBytes: number;
  readonly weightsBytes: number;
  readonly peakBytes: number;
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
    /** Null until the first look at memory, and while not even the smallest plan fits. */
    readonly plan: { readonly notation: string; readonly predicted: PredictedMemory } | null;
    readonly smallestBytes: number;
  }[];
}

/** `<base>/<node>/health` */
export interface NodeHealth {
  readonly at: string;
  readonly budget: { readonly bytes: number; readonly bound: string };
  readonly executor: {
    /** Private memory that is not swapped out. */
    readonly residentBytes: number;
    /** Private memory including swap. */
    readonly privateBytes: number;
    readonly idleBytes: number;
  };
  readonly models: readonly {
    readonly name: string;
    readonly pressure: string;
    readonly plan: string | null;
    /** The last run that was measured. */
    readonly measured: { readonly workingBytes: number; readonly latencyMs: number } | null;
  }[];
  readonly cameras: readonly CameraReport[];
  readonly processes: readonly {
    readonly pid: number;
    readonly name: string;
    readonly cpuPercent: number;
    readonly rssBytes: number;
  }[];
}

/** Numbers of frames by their fate. */
export interface CameraReport {
  readonly name: string;
  readonly captured: number;
  readonly taken: number;
  readonly replaced: number;
  readonly processed: number;
  readonly skipped: number;
  readonly failed: number;
}
