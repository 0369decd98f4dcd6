/** Reads the kernel's counters of memory that runs short, and drops files from the page cache. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface FaultCounts {
  /** Pages that one process had to read from a file or from swap. */
  readonly majorFaults: number;
  /** Pages that the whole machine read from swap. */
  readonly swappedIn: number;
  /** Pages that the whole machine wrote to swap. */
  readonly swappedOut: number;
}

/** Counts until now. @throws {Error} if the process is gone. Source: man proc_pid_stat, field 12; proc_vmstat. */
export function readFaults(pid: number): FaultCounts {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const vmstat = readFileSync('/proc/vmstat', 'utf8');
  // A kernel without swap has no such counters.
  const countOf = (key: string) => Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(vmstat)?.[1] ?? 0);
  return {
    majorFaults: Number(fields[12 - 3]),
    swappedIn: countOf('pswpin'),
    swappedOut: countOf('pswpout'),
  };
}

export function faultsBetween(before: FaultCounts, after: FaultCounts): FaultCounts {
  return {
    majorFaults: after.majorFaults - before.majorFaults,
    swappedIn: after.swappedIn - before.swappedIn,
    swappedOut: after.swappedOut - before.swappedOut,
  };
}

/**
 * Drops a folder's files from the page cache. The next process to read them is charged for them. dd's nocache drops
 * the whole file if there is no data to copy (GNU coreutils, dd invocation).
 */
export async function evictFiles(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const options = ['oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none'];
    await promisify(execFile)('dd', [`of=${file}`, ...options]);
  }
}
