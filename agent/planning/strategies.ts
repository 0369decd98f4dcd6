/** The search strategies by name. */
import type { Strategy } from '../../shared/search/index.js';
import { mafatCandidates, optimalCandidates } from '../../shared/search/index.js';

export const STRATEGIES: ReadonlyMap<string, Strategy> = new Map([
  ['optimal', optimalCandidates],
  ['mafat', mafatCandidates],
]);
export const DEFAULT_STRATEGY = 'optimal';

/** @throws {RangeError} if there is no strategy of this name. */
export function strategyNamed(name: string): Strategy {
  const strategy = STRATEGIES.get(name);
  if (strategy !== undefined) return strategy;
  throw new RangeError(`Cannot plan by strategy "${name}": expected ${[...STRATEGIES.keys()].join(', ')}`);
}
