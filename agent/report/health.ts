/** Renders how a node does from its snapshot. docs/protocol.md, section 1. */
import type { NodeHealth } from '../../shared/wire/index.js';
import type { ProcessUsage } from './process-usage.js';
import type { NodeSnapshot } from './snapshot.js';

/** @param processes empty where the system can't tell. */
export function describeHealth(snapshot: NodeSnapshot, processes: readonly ProcessUsage[]): NodeHealth {
  const { at, configFault, budget, contract, ends, store, service, check, spool, cameras, queue, events } =
    snapshot;
  const { pid: _, ...executor } = snapshot.executor;
  return {
    at,
    configFault,
    budget,
    executor: { ...executor, contract, ends },
    store,
    service,
    models: describeModels(snapshot),
    check,
    spool,
    cameras,
    queue,
    events,
    processes,
  };
}

/** Models that fail come last, and once, even if they are still served from memory. */
function describeModels({ models, failures }: NodeSnapshot): NodeHealth['models'] {
  const failed = failures.map(({ name, reason: failure }) => {
    return { name, pressure: 'ok', plan: null, memory: null, failure } as const;
  });
  const served = models.filter(({ name }) => failed.every((other) => other.name !== name));
  return [
    ...served.map(({ name, pressure, plan, memory }) => ({
      name,
      pressure,
      plan: plan?.notation ?? null,
      memory,
      failure: null,
    })),
    ...failed,
  ];
}
