/** This room holds plans, their notation, and the searches for one that fits a budget. */
export type { Front, FrontOptions } from './front.js';
export { pickFromFront, searchFront } from './front.js';
export { mafatCandidates } from './mafat-strategy.js';
export { parsePlan } from './notation.js';
export { optimalCandidates } from './optimal.js';
export type { Plan, PlannedSegment, PlanPrediction, WeightsPolicy } from './plan.js';
export { budgetedBytes, buildPlan, countPlanWork, describeSegments, PLANNER_VERSION } from './plan.js';
export type { FrontPoint } from './plan-front.js';
export { planFront } from './plan-front.js';
export { quickPlan, quickPlans } from './quick-plan.js';
export type { SearchOptions, Strategy } from './strategy.js';
export { BudgetError, searchPlan } from './strategy.js';
export { frontOfVariants, isBetter, searchVariants } from './variants.js';
