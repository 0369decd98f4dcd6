/** What happens on a node that somebody may want to hear of. Transports, log and store subscribe; see `EventHub`. */
import type { RunSettings } from '../../shared/predict/index.js';
import type { PredictedMemory, Pressure } from '../../shared/wire/index.js';
import type { Findings } from '../decode/decode-outputs.js';

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
  readonly findings: Findings;
}

/** From its next inference on, a model runs by another plan. */
export interface PlanChangedEvent {
  readonly kind: 'plan-changed';
  readonly model: string;
  readonly notation: string;
  readonly settings: RunSettings;
  readonly origin: 'stored' | 'searched';
  readonly budget: { readonly bytes: number; readonly bound: string };
  readonly predicted: PredictedMemory;
}

/** An executor was lost, and another one runs in its place. */
export interface ExecutorReplacedEvent {
  readonly kind: 'executor-replaced';
  readonly reason: string;
}

/** The least budget that any plan of a model meets is known. */
export interface SmallestKnownEvent {
  readonly kind: 'smallest-known';
  readonly model: string;
  readonly smallestBytes: number;
}

/** A model's memory pressure rose or fell. */
export interface PressureEvent {
  readonly kind: 'pressure';
  readonly model: string;
  readonly from: Pressure;
  readonly to: Pressure;
}

export type NodeEvent =
  | DetectionsEvent
  | PlanChangedEvent
  | ExecutorReplacedEvent
  | PressureEvent
  | SmallestKnownEvent;
