/** Memory of the whole service, in totals that an operator can check with `ps` and in /sys/fs/cgroup. */
import type { NodeHealth } from '../../shared/wire/index.js';
import { readProcessMemory, readPss } from '../board/process-memory.js';
import type { CgroupMemory } from '../board/read-memory.js';

export type ServiceMemory = NodeHealth['service'];

/** @param pids of the agent and its children. One that has just ended counts nothing. */
export function readServiceMemory(pids: readonly number[], [own]: readonly CgroupMemory[]): ServiceMemory {
  const pss = pids.map((pid) => readPss(pid));
  return {
    privateBytes: pids.reduce((sum, pid) => sum + privateBytesOf(pid), 0),
    pssBytes: pss.every((bytes) => bytes === undefined)
      ? null
      : pss.reduce((sum: number, bytes) => sum + (bytes ?? 0), 0),
    cgroup:
      own === undefined
        ? null
        : { path: own.path, currentBytes: own.currentBytes, maxBytes: own.maxBytes ?? null },
  };
}

function privateBytesOf(pid: number): number {
  try {
    const { rssAnonBytes, swapBytes } = readProcessMemory(pid);
    return rssAnonBytes + swapBytes;
  } catch {
    return 0;
  }
}
