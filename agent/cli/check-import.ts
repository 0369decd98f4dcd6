/** Compares a model that was just imported with its file, on a drawn picture. */
import { buildPlan } from '../../shared/search/index.js';
import { checkPicture } from '../check/check-picture.js';
import { findAllocator } from '../engine/allocator.js';
import { loadPlan } from '../engine/load-plan.js';
import { openModel } from '../planning/open-model.js';
import type { CommandContext } from './context.js';
import type { FileVerification } from './verify-network.js';
import { verifyImport } from './verify-network.js';

/** The model runs untiled, at the level that each machine has, so that only what the import changed can differ. */
const SETTINGS = { level: 'extended', threads: 1 } as const;

export async function checkImport(name: string, context: CommandContext): Promise<FileVerification> {
  const network = await openModel(context.store, name, context);
  await context.releaseExecutor();
  const settings = { ...SETTINGS, allocator: findAllocator().kind };
  const plan = buildPlan(network.graph, { modes: [{ kind: 'whole' }], cuts: [] }, settings);
  return verifyImport({
    ...{ network, plan },
    load: (executor) => loadPlan(executor, { model: network, plan }, { signal: context.signal }),
    images: [checkPicture()],
    watching: { onProgress: context.progress.show, signal: context.signal },
  });
}

/** What an import says of its check. */
export function describeCheck(check: FileVerification): string {
  if ('reason' in check) return `not compared with the file: ${check.reason}`;
  const { exact, maxAbsDiff, maxAbsReference } = check;
  if (maxAbsDiff === 0) return 'on a drawn picture its outputs equal those of the file bit for bit';
  const difference = `on a drawn picture its outputs differ from the file's by ${maxAbsDiff.toExponential(1)}, where the largest is ${maxAbsReference.toPrecision(2)}`;
  if (exact) return difference;
  return `WARNING: ${difference}: this network amplifies rounding, or its import is wrong`;
}
