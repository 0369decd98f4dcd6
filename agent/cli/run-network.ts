/** Runs a planned network on images in a separate executor, measures it, and verifies its outputs if asked to. */
import type { Plan } from '../../shared/search/index.js';
import type { Findings } from '../decode/decode-outputs.js';
import { decodeOutputs, needsValues } from '../decode/decode-outputs.js';
import { ModelOptimizer } from '../engine/blocked/model-optimizer.js';
import type { ExecutorClient } from '../engine/executor-client.js';
import { startExecutor } from '../engine/executor-client.js';
import { loadPlan } from '../engine/load-plan.js';
import type { RunResult } from '../engine/wire/protocol.js';
import type { Network } from '../planning/open-model.js';
import type { Watching } from './executor-runs.js';
import { runImage, withExecutor } from './executor-runs.js';
import type { NetworkVerification } from './verify-network.js';
import { verifyNetwork } from './verify-network.js';

export interface RunOptions extends Watching {
  readonly images: readonly string[];
  readonly repeat: number;
  readonly threshold?: number;
  readonly verify: boolean;
  /** Where the imported file is now, if it was moved. */
  readonly against?: string;
  /** Called with what each image gave in its first round, and the values of its outputs. */
  readonly onResult?: (result: RunResult) => void | Promise<void>;
  /** Called with the reason why weights will be on the heap, which the plan doesn't count. */
  readonly onUnmapped?: (reason: string) => void;
}

export interface NetworkRun {
  readonly measured: {
    readonly idleBytes: number;
    readonly workingBytes: number;
    /** Latencies of all images in turn, `repeat` times over. */
    readonly latencyMs: readonly number[];
  };
  readonly verify?: NetworkVerification;
  readonly images: readonly (Findings & { readonly file: string })[];
}

interface Job {
  readonly network: Network;
  readonly plan: Plan;
  readonly options: RunOptions;
}

export async function runNetwork(network: Network, plan: Plan, options: RunOptions): Promise<NetworkRun> {
  const job = { network, plan, options };
  const run = await withExecutor(plan.settings.allocator, (executor) => measureRun(executor, job));
  if (!options.verify) return run;
  const verify = await verifyNetwork({
    ...{ network, plan, watching: options },
    load: (executor) => load(executor, job),
    images: options.images.map((path) => ({ kind: 'file', path })),
    ...(options.against === undefined ? {} : { file: options.against }),
  });
  return { ...run, verify };
}

async function measureRun(executor: ExecutorClient, job: Job): Promise<NetworkRun> {
  const { network, options } = job;
  const meter = executor.createMeter();
  meter.start();
  const latencyMs: number[] = [];
  const images: (Findings & { file: string })[] = [];
  const isRead = needsValues(network.manifest) || options.onResult !== undefined;
  const outputs = isRead ? 'values' : 'shapes';
  try {
    await load(executor, job);
    for (let round = 0; round < options.repeat; round += 1) {
      for (const file of options.images) {
        const label = options.repeat === 1 ? file : `${file} (${round + 1}/${options.repeat})`;
        const image = { kind: 'file' as const, path: file };
        const result = await runImage(executor, { image, label, outputs }, options);
        latencyMs.push(result.latencyMs);
        if (round > 0) continue;
        images.push({ file, ...decodeOutputs(result, { ...network, ...thresholdOf(options) }) });
        await options.onResult?.(result);
      }
    }
    const workingBytes = meter.stop();
    return { measured: { idleBytes: executor.idleBytes, workingBytes, latencyMs }, images };
  } finally {
    meter.stop();
  }
}

function thresholdOf({ threshold }: RunOptions): { threshold?: number } {
  return threshold === undefined ? {} : { threshold };
}

async function load(executor: ExecutorClient, { network, plan, options }: Job): Promise<void> {
  const { onUnmapped, onProgress, signal } = options;
  const optimizer = new ModelOptimizer({ startExecutor, onFailed: (reason) => onUnmapped?.(reason) });
  await loadPlan(
    executor,
    { model: network, plan },
    {
      optimizer,
      ...(signal === undefined ? {} : { signal }),
      onSave: () => onProgress?.('saving weights in this machine’s layout'),
      onLoad: () => onProgress?.('loading'),
    },
  );
}
