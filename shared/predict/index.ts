/** The predictor says how much working memory, mapped weights and latency a plan takes, and whether it is bit-exact. */
export { BUILT_IN_PROFILE } from './built-in-profile.js';
export { convScratchBytes } from './conv-scratch.js';
export type { CostEntry, DeviceProfile, Kernels, WorkAmounts } from './device-profile.js';
export {
  costEntryFor,
  costsFor,
  emptyWork,
  KERNELS,
  kernelsOf,
  latencyOf,
  WORK_KINDS,
} from './device-profile.js';
export { fitCosts } from './fit-costs.js';
export { countFaults, countOperationWork, countWork, isActivation } from './latency.js';
export type { RunPeak } from './lifetimes.js';
export { predictRunPeaks, predictStepPeaks, runsInPlace } from './lifetimes.js';
export { countMacs, countRangeMacs } from './macs.js';
export { median } from './median.js';
export type { PredictSettings, SegmentPrediction } from './predict.js';
export { fixedBytes, heldBytes, predictSegments, sessionShare, stepBytes, stepRatio } from './predict.js';
export type { Allocator, Level, RunSettings } from './run-settings.js';
export { ALLOCATORS, isBlocked, LEVELS } from './run-settings.js';
export type { KernelSettings } from './run-step.js';
export type { SessionRun } from './session-run.js';
export { sessionsOf } from './session-run.js';
