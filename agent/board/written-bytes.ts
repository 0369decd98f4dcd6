/** How much the agent has written to disks: SD cards wear out. */
import { parseInteger, readText } from './read-text.js';

/** Bytes since the process started; null where the kernel doesn't count. Source: man proc_pid_io, write_bytes. */
export function readWrittenBytes(root = '/'): number | null {
  const line = readText(`${root}/proc/self/io`)
    ?.split('\n')
    .find((candidate) => candidate.startsWith('write_bytes:'));
  return parseInteger(line?.replace('write_bytes:', '').trim()) ?? null;
}
