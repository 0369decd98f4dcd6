/** What the agent says of itself on its retained topics. docs/protocol.md, section 1. */

import type { CameraReport, NodeHealth, NodeInfo } from '../../shared/wire/index.js';
import { inferTopic } from '../../shared/wire/index.js';
import type { CameraPump } from '../camera/camera-pump.js';
import type { Config } from '../config/config-schema.js';
import type { ModelRuntime } from '../planning/model-runtime.js';

export function describeModels(models: Iterable<ModelRuntime>, { mqtt, node }: Config): NodeInfo['models'] {
  return [...models].map(({ config: { name }, network, plan, smallestBytes }) => ({
    name,
    inferTopic: inferTopic(mqtt.base, node, name),
    input: { name: network.input.name, width: network.input.width, height: network.input.height },
    plan: plan === undefined ? null : { notation: plan.notation, predicted: plan.predicted },
    smallestBytes,
  }));
}

export function describeModelHealth({
  config,
  level,
  plan,
  measured,
}: ModelRuntime): NodeHealth['models'][number] {
  return {
    name: config.name,
    level,
    plan: plan?.notation ?? null,
    measured:
      measured === undefined ? null : { workingBytes: measured.workingBytes, latencyMs: measured.latencyMs },
  };
}

export function describeCamera({ camera: { name }, counts }: CameraPump): CameraReport {
  return { name, ...counts };
}

interface Usage {
  readonly cpu: number;
  readonly memory: number;
}

/** From pidusage, where a process that is gone has no entry. */
export function describeProcesses(
  usage: Readonly<Record<string, Usage | undefined>>,
  { executor }: { readonly executor: number },
): NodeHealth['processes'] {
  return Object.entries(usage).flatMap(([pid, used]) =>
    used === undefined
      ? []
      : [
          {
            pid: Number(pid),
            name: Number(pid) === executor ? 'executor' : 'agent',
            cpuPercent: used.cpu,
            rssBytes: used.memory,
          },
        ],
  );
}
