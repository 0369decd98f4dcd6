/** Looks at the agent's processes from outside, by /proc. Source: man proc_pid_cmdline, proc_pid_task. */
import { readFileSync } from 'node:fs';
import { readProcessMemory } from '../agent/board/process-memory.js';

/** Children that the main thread of a process started. */
export function childrenOf(pid: number): readonly number[] {
  const text = orUndefined(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')) ?? '';
  return text.split(' ').filter(Boolean).map(Number);
}

/** Whether a process runs and is an executor of mafat. */
export function isExecutor(pid: number): boolean {
  return (
    orUndefined(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.includes('executor-process') === true
  );
}

export interface PrivateMemory {
  /** Private memory, what is swapped out included. */
  readonly privateBytes: number;
  readonly swapBytes: number;
}

/** Private memory of a process; none if it has gone. */
export function memoryOf(pid: number): PrivateMemory {
  const memory = orUndefined(() => readProcessMemory(pid));
  const swapBytes = memory?.swapBytes ?? 0;
  return { privateBytes: (memory?.rssAnonBytes ?? 0) + swapBytes, swapBytes };
}

/**
 * Time that a process's main thread was ready and waited for a processor, since its start. 0 where the kernel doesn't say.
 * Source: kernel Documentation/scheduler/sched-stats.rst.
 */
export function waitedMsOf(pid: number): number {
  const text = orUndefined(() => readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8'));
  return Number(text?.split(' ')[1] ?? 0) / 1e6;
}

/** What a read of /proc gives, or undefined if the process has gone. */
function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return undefined;
  }
}
