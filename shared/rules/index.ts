/** Rules for values from outside. */
export type { ListLimits } from './combine.js';
export { list, map, openMap, orDefault, placed, record, refine, variant } from './combine.js';
export type { Checked, Issue, KeyPath, Rule, ValueOf } from './rule.js';
export {
  anything,
  choice,
  flag,
  invalid,
  matching,
  number,
  numberWithin,
  text,
  valid,
  valueThat,
  wholeNumber,
} from './rule.js';
