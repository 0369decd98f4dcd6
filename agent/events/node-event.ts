/** What happens on a node that somebody may want to hear of. Transports, log and store subscribe; see `EventHub`. */
import type { RunSettings } from '../../shared/predict/index.js';
import type {
  CameraStateReport,
  CheckFault,
  CountsReport,
  DetectionReport,
  ObjectReport,
  PredictedMemory,
  Pressure,
  StoreProblem,
} from '../../shared/wire/index.js';
import type { Findings } from '../decode/decode-outputs.js';
import type { EndReason } from '../engine/executor-end.js';

/** A camera's frame was run, and this was found. */
export interface DetectionsEvent {
  readonly kind: 'detections';
  readonly camera: string;
  readonly model: string;
  /** Time of the answer, ISO 8601. */
  readonly at: string;
  readonly latencyMs: number;
  /** Notation of the plan that ran. */
  readonly plan: string;
  readonly findings: Omit<Findings, 'detections'> & { readonly detections: readonly DetectionReport[] };
}

/** An object that a camera sees began, changed or ended. */
export interface ObjectEvent extends ObjectReport {
  readonly kind: 'object';
}

/** The numbers of objects that a camera sees are others than before. */
export interface CountsEvent extends CountsReport {
  readonly kind: 'counts';
  readonly camera: string;
}

/** A camera's picture, with what was found drawn into it. */
export interface SnapshotEvent {
  readonly kind: 'snapshot';
  readonly camera: string;
  readonly jpeg: Uint8Array;
}

/** A camera was switched on or off, or its source came, was lost or is tried again. */
export interface CameraStateEvent extends CameraStateReport {
  readonly kind: 'camera-state';
  readonly camera: string;
}

/** From its next inference on, a model runs by another plan. */
export interface PlanChangedEvent {
  readonly kind: 'plan-changed';
  readonly model: string;
  readonly notation: string;
  readonly settings: RunSettings;
  readonly origin: 'stored' | 'searched' | 'rules';
  readonly budget: { readonly bytes: number; readonly bound: string };
  readonly predicted: PredictedMemory;
}

/** An executor was lost, and another one runs in its place. */
export interface ExecutorReplacedEvent {
  readonly kind: 'executor-replaced';
  readonly cause: EndReason;
  /** For people. */
  readonly reason: string;
}

/** All plans of a model that are worth it are known. */
export interface FrontKnownEvent {
  readonly kind: 'front-known';
  readonly model: string;
  readonly plans: number;
  /** Least budget that a plan meets. */
  readonly smallestBytes: number;
  /** Whether the search came to its end, and not to its limit. */
  readonly complete: boolean;
}

/** A plan took more memory than it promised; it promises as much from now on. */
export interface PlanCorrectedEvent {
  readonly kind: 'plan-corrected';
  readonly model: string;
  readonly notation: string;
  readonly promisedBytes: number;
  readonly measuredBytes: number;
  /** Factor from the predicted to the measured working memory. */
  readonly correction: number;
}

/** A plan got its executor killed; it isn't used again at this budget. */
export interface PlanBarredEvent {
  readonly kind: 'plan-barred';
  readonly model: string;
  readonly notation: string;
  readonly budgetBytes: number;
  readonly reason: string;
}

/** A plan answered a stored picture wrongly, or not at all; the node isn't ready until a check succeeds. */
export interface CheckFailedEvent extends CheckFault {
  readonly kind: 'check-failed';
}

/** A model's self-check succeeds again. */
export interface CheckRecoveredEvent {
  readonly kind: 'check-recovered';
  readonly model: string;
}

/** The store's file couldn't be used when the agent started. */
export interface StoreReplacedEvent {
  readonly kind: 'store-replaced';
  readonly problem: StoreProblem;
}

/** A model's memory pressure rose or fell. */
export interface PressureEvent {
  readonly kind: 'pressure';
  readonly model: string;
  readonly from: Pressure;
  readonly to: Pressure;
}

/** What cameras see, with their frames: too often for a log and a store. */
export type SightEvent = DetectionsEvent | ObjectEvent | CountsEvent | SnapshotEvent;

export type NodeEvent =
  | CameraStateEvent
  | CheckFailedEvent
  | CheckRecoveredEvent
  | SightEvent
  | PlanChangedEvent
  | ExecutorReplacedEvent
  | FrontKnownEvent
  | PlanBarredEvent
  | PlanCorrectedEvent
  | PressureEvent
  | StoreReplacedEvent;
