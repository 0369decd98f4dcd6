/**
 * Runs a planned network on images in a separate executor and measures it. To verify it, the plan and the
 * untiled network run once more, each in a separate executor.
 */
import { elementAt } from '../../shared/graph/index.js';
import type { Allocator } from '../../shared/predict/index.js';
import type { Plan } from '../../shared/search/index.js';
import { buildPlan } from '../../shared/search/index.js';
import type { Findings } from '../decode/decode-outputs.js';
import { decodeOutputs, needsValues } from '../decode/decode-outputs.js';
import { findAllocator } from '../engine/allocator.js';
import { ModelOptimizer } from '../engine/blocked/model-optimizer.js';
import { ExecutorClient, startExecutor } from '../engine/executor-client.js';
import { loadPlan } from '../engine/load-plan.js';
import type { OutputTensor, RunResult } from '../engine/wire/protocol.js';
import type { Network } from '../planning/open-model.js';
import type { Verification } from './verify-outputs.js';
import { verifyOutputs, worstOf } from './verify-outputs.js';

export interface RunOptions {
  readonly images: readonly string[];
  readonly repeat: number;
  readonly threshold?: number;
  readonly verify: boolean;
  readonly onProgress?: (text: string) => void;
  /** Called with the reason why weights will be on the heap, which the plan doesn't count. */
  readonly onUnmapped?: (reason: string) => void;
  readonly signal?: AbortSignal;
}

export interface NetworkRun {
  readonly measured: {
    readonly idleBytes: number;
    readonly workingBytes: number;
    /** Latencies of all images in turn, `repeat` times over. */
    readonly latencyMs: readonly number[];
  };
  readonly verify?: Verification;
  readonly images: readonly (Findings & { readonly file: string })[];
}

export async function runNetwork(network: Network, plan: Plan, options: RunOptions): Promise<NetworkRun> {
  const run = await withExecutor(plan.settings.allocator, (executor) =>
    measureRun(executor, { network, plan, options }),
  );
  if (!options.verify) return run;
  return { ...run, verify: await verifyRun({ network, plan, options }) };
}

interface Job {
  readonly network: Network;
  readonly plan: Plan;
  readonly options: RunOptions;
  /** Whether this is the untiled run, which doesn't use models saved before. */
  readonly isReference?: boolean;
}

async function withExecutor<T>(
  allocator: Allocator,
  work: (executor: ExecutorClient) => Promise<T>,
): Promise<T> {
  const executor = new ExecutorClient(findAllocator({ wanted: allocator }));
  try {
    await executor.start();
    return await work(executor);
  } finally {
    await executor.stop();
  }
}

async function measureRun(executor: ExecutorClient, { network, plan, options }: Job): Promise<NetworkRun> {
  const meter = executor.createMeter();
  meter.start();
  const latencyMs: number[] = [];
  const images: (Findings & { file: string })[] = [];
  try {
    await load(executor, { network, plan, options });
    for (let round = 0; round < options.repeat; round += 1) {
      for (const file of options.images) {
        const label = options.repeat === 1 ? file : `${file} (${round + 1}/${options.repeat})`;
        const result = await runImage(executor, {
          file,
          options,
          label,
          values: needsValues(network.manifest),
        });
        latencyMs.push(result.latencyMs);
        if (round === 0)
          images.push({ file, ...decodeOutputs(result, { ...network, ...thresholdOf(options) }) });
      }
    }
    const workingBytes = meter.stop();
    return { measured: { idleBytes: executor.idleBytes, workingBytes, latencyMs }, images };
  } finally {
    meter.stop();
  }
}

function signalOf({ signal }: RunOptions): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function thresholdOf({ threshold }: RunOptions): { threshold?: number } {
  return threshold === undefined ? {} : { threshold };
}

/** A reference is loaded as it is stored: what the others are compared with. */
async function load(executor: ExecutorClient, { network, plan, options, isReference }: Job): Promise<void> {
  const optimizer = new ModelOptimizer({ startExecutor, onFailed: (reason) => options.onUnmapped?.(reason) });
  await loadPlan(
    executor,
    { model: network, plan },
    {
      ...(isReference === true ? {} : { optimizer }),
      ...signalOf(options),
      onSave: () => options.onProgress?.('saving weights in this machine’s layout'),
      onLoad: () => options.onProgress?.('loading'),
    },
  );
}

interface ImageRun {
  readonly file: string;
  readonly options: RunOptions;
  readonly label: string;
  readonly values: boolean;
}

function runImage(executor: ExecutorClient, { file, options, label, values }: ImageRun): Promise<RunResult> {
  options.onProgress?.(label);
  return executor.ask(
    { kind: 'run', image: { kind: 'file', path: file }, outputs: values ? 'values' : 'shapes' },
    {
      onProgress: (step, steps) => options.onProgress?.(`${label}: step ${step} of ${steps}`),
      ...signalOf(options),
    },
  );
}

/** Compares one more run of the plan with one of the untiled network. Neither is measured. */
async function verifyRun(job: Job): Promise<Verification> {
  const { network, plan } = job;
  const { allocator } = plan.settings;
  const untiled = buildPlan(network.graph, { modes: [{ kind: 'whole' }], cuts: [] }, plan.settings);
  const outputs = await withExecutor(allocator, (executor) => collectOutputs(executor, job));
  const reference = await withExecutor(allocator, (executor) =>
    collectOutputs(executor, { ...job, plan: untiled, isReference: true }),
  );
  const bitExact = plan.segments.every(({ prediction }) => prediction.bitExact);
  const verified = reference.map((expected, at) =>
    verifyOutputs(elementAt(outputs, at), expected, { bitExact }),
  );
  return worstOf(verified);
}

async function collectOutputs(
  executor: ExecutorClient,
  job: Job,
): Promise<readonly (readonly OutputTensor[])[]> {
  await load(executor, job);
  const collected: (readonly OutputTensor[])[] = [];
  for (const file of job.options.images) {
    const label = `verifying ${file} (${job.plan.notation})`;
    collected.push((await runImage(executor, { file, options: job.options, label, values: true })).outputs);
  }
  return collected;
}
