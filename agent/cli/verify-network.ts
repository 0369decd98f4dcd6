/**
 * Compares the outputs of a plan with the untiled network's, and with those of the ONNX file that the model was imported
 * from, as ONNX Runtime gives them without our passes. Each run has an executor of its own.
 */
import { elementAt } from '../../shared/graph/index.js';
import type { Plan } from '../../shared/search/index.js';
import { buildPlan } from '../../shared/search/index.js';
import type { ExecutorClient } from '../engine/executor-client.js';
import { programOfFile } from '../engine/file-program.js';
import { loadPlan } from '../engine/load-plan.js';
import type { ImageSource, OutputTensor } from '../engine/wire/protocol.js';
import { fixedTensors, readImportedFile } from '../models/imported-file.js';
import type { Network } from '../planning/open-model.js';
import type { Watching } from './executor-runs.js';
import { runImage, withExecutor } from './executor-runs.js';
import type { Verification } from './verify-outputs.js';
import { verifyOutputs, worstOf } from './verify-outputs.js';

export interface VerifyJob {
  readonly network: Network;
  readonly plan: Plan;
  /** Loads the plan as it was measured. */
  readonly load: (executor: ExecutorClient) => Promise<void>;
  readonly images: readonly ImageSource[];
  readonly watching: Watching;
  /** Where the imported file is now. */
  readonly file?: string;
}

export interface NetworkVerification extends Verification {
  /** How near the outputs come to those of the imported file, or why that isn't known. */
  readonly file: FileVerification;
}

export type FileVerification = (Verification & { readonly path: string }) | { readonly reason: string };

/** Outputs of each image. */
type Collected = readonly (readonly OutputTensor[])[];

/** @throws {RangeError} if a comparison can't show anything. */
export async function verifyNetwork(job: VerifyJob): Promise<NetworkVerification> {
  const { network, plan } = job;
  const outputs = await collect(job, { load: job.load, what: plan.notation });
  const untiled = buildPlan(network.graph, { modes: [{ kind: 'whole' }], cuts: [] }, plan.settings);
  const reference = await collect(job, {
    // As it is stored, without models that were saved before.
    load: (executor) => loadPlan(executor, { model: network, plan: untiled }, signalOf(job)),
    what: 'untiled',
  });
  const bitExact = plan.segments.every(({ prediction }) => prediction.bitExact);
  return {
    ...worst(outputs, reference, { bitExact, what: 'untiled network' }),
    file: await compareWithFile(job, outputs),
  };
}

/** Compares a plan with the file alone. */
export async function verifyImport(job: VerifyJob): Promise<FileVerification> {
  return compareWithFile(job, await collect(job, { load: job.load, what: job.plan.notation }));
}

/** A file that can't be run beside the plan, for want of memory, say, is a reason. */
async function compareWithFile(job: VerifyJob, outputs: Collected): Promise<FileVerification> {
  const { network, plan, file, watching } = job;
  try {
    const imported = await readImportedFile(network.manifest, file);
    const constants = fixedTensors(imported, network);
    const program = programOfFile(imported, { ...network, constants, settings: plan.settings });
    const load = async (executor: ExecutorClient) => {
      await executor.ask({ kind: 'load', program }, signalOf(job));
    };
    const reference = await collect(job, { load, what: imported.path });
    return { path: imported.path, ...worst(outputs, reference, { bitExact: false, what: 'imported file' }) };
  } catch (error) {
    watching.signal?.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    return { reason: reason.replace(/\s*\n\s*/g, ' ') };
  }
}

interface Loaded {
  readonly load: (executor: ExecutorClient) => Promise<void>;
  readonly what: string;
}

function collect({ plan, images, watching }: VerifyJob, { load, what }: Loaded): Promise<Collected> {
  return withExecutor(plan.settings.allocator, async (executor) => {
    await load(executor);
    const collected: (readonly OutputTensor[])[] = [];
    for (const image of images) {
      const label = `verifying (${what})`;
      collected.push((await runImage(executor, { image, label, outputs: 'values' }, watching)).outputs);
    }
    return collected;
  });
}

function worst(
  outputs: Collected,
  reference: Collected,
  options: { readonly bitExact: boolean; readonly what: string },
): Verification {
  return worstOf(reference.map((expected, at) => verifyOutputs(elementAt(outputs, at), expected, options)));
}

function signalOf({ watching: { signal } }: VerifyJob): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
