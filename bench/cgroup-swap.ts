/** Swap for a bench: the machine's, or a temporary file if the machine has none. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Swap {
  /** Kind and size of the swap, for the report. */
  readonly description: string;
  /** Removes the temporary file, if there is one. */
  readonly remove: () => Promise<void>;
}

export async function ensureSwap(bytes: number): Promise<Swap> {
  const present = readFileSync('/proc/swaps', 'utf8').trim().split('\n').slice(1);
  const nothing = async () => undefined;
  if (present.length > 0)
    return { description: `the machine's swap, devices: ${present.length}`, remove: nothing };
  const folder = await mkdtemp(join(tmpdir(), 'mafat-swap-'));
  const file = join(folder, 'swap');
  try {
    await run('fallocate', ['--length', String(bytes), file]);
    await run('chmod', ['600', file]);
    await run('mkswap', [file]);
    await run('swapon', [file]);
  } catch (error) {
    await rm(folder, { recursive: true });
    const reason = error instanceof Error ? (error.message.trim().split('\n').at(-1) ?? '') : String(error);
    return { description: `none (${reason})`, remove: nothing };
  }
  const remove = async () => {
    await run('swapoff', [file]);
    await rm(folder, { recursive: true });
  };
  return { description: `a file of ${bytes / 2 ** 20} MB in ${tmpdir()}`, remove };
}
