/** Renders how a node does from its snapshot. docs/protocol.md, section 1. */
import type { NodeHealth } from '../../shared/wire/index.js';
import type { NodeSnapshot } from './snapshot.js';

export function describeHealth(snapshot: NodeSnapshot): NodeHealth {
  const { at, budget, executor, models, cameras, processes } = snapshot;
  return {
    at,
    budget,
    executor,
    models: models.map(({ name, pressure, plan, measured }) => ({
      name,
      pressure,
      plan: plan?.notation ?? null,
      measured,
    })),
    cameras,
    processes,
  };
}
