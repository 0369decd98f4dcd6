/** This room holds plans, their notation, and the searches for one that fits a budget. */
export type { Front, FrontOptions, FrontPoint } from './front.js';
export { optimalCandidates, pickFromFront, searchFront } from './front.js';
export type { Knobs } from './knobs.js';
export { KNOBS } from './knobs.js';
export { mafatCandidates } from './mafat-strategy.js';
export { formatPlan, parsePlan } from './notation.js';
export type { Plan, PlannedSegment, PlanPrediction, WeightsPolicy } from './plan.js';
export {
  budgetedBytes,
  buildPlan,
  countPlanWork,
  describeSegments,
  InexactPlanError,
  PLANNER_VERSION,
} from './plan.js';
export { quickPlans } from './quick-plan.js';
export type { SearchOptions, Strategy } from './strategy.js';
export { BudgetError, searchPlan, searchVariants } from './strategy.js';
