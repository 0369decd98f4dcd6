/** Counters of the kernel that show memory running short, and putting files out of memory. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface FaultCounts {
  /** Of one process: pages that had to be read, from a file or from swap. */
  readonly majorFaults: number;
  /** Of the whole machine, in pages. */
  readonly swappedIn: number;
  readonly swappedOut: number;
}

/** @throws {Error} if the process is gone. Source: man proc_pid_stat, field 12; proc_vmstat. */
export function readFaults(pid: number): FaultCounts {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const vmstat = readFileSync('/proc/vmstat', 'utf8');
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
 * Drops a folder's files from the page cache: whoever reads them next is charged for them. With no data to
 * copy, dd's nocache asks for the whole file (GNU coreutils, dd invocation).
 */
export async function evictFiles(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const options = ['oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none'];
    await promisify(execFile)('dd', [`of=${file}`, ...options]);
  }
}
