/** The predictor says how much working memory, mapped weights and latency a plan takes, and whether it is bit-exact. */
export type { Account, SessionNeed } from './account.js';
export { interpolatesOtherwise } from './blocked-interpolation.js';
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
export { countRangeMacs } from './macs.js';
export { median } from './median.js';
export { runsInPlace } from './operators.js';
export type { PredictSettings, SegmentPrediction } from './predict.js';
export { allocatedBytes, countSegmentWork, fixedBytes, predictSegments, SESSION_BYTES } from './predict.js';
export type { RangeMaps } from './range-maps.js';
export { rangeMapsOf } from './range-maps.js';
export { feedsQuantizer, judgeSession } from './rounding-law.js';
export type { Allocator, Level, RunSettings } from './run-settings.js';
export { ALLOCATORS, isBlocked, LEVELS } from './run-settings.js';
export type { SessionSteps } from './session.js';
export { tiledSession, wholeSession } from './session.js';
export type { Predictor } from './sessions.js';
export { predictorOf } from './sessions.js';
export { tileFlows } from './stream-sessions.js';
