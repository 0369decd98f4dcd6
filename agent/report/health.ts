/** Renders how a node does from its snapshot. docs/protocol.md, section 1. */
import type { NodeHealth } from '../../shared/wire/index.js';
import type { ProcessUsage } from './process-usage.js';
import type { NodeSnapshot } from './snapshot.js';

/** @param processes empty where the system can't tell. */
export function describeHealth(snapshot: NodeSnapshot, processes: readonly ProcessUsage[]): NodeHealth {
  const { at, budget, contract, service, models, cameras, queue, events } = snapshot;
  const { pid: _, ...executor } = snapshot.executor;
  return {
    at,
    budget,
    executor: { ...executor, contract },
    service,
    models: models.map(({ name, pressure, plan, memory }) => ({
      name,
      pressure,
      plan: plan?.notation ?? null,
      memory,
    })),
    cameras,
    queue,
    events,
    processes,
  };
}
