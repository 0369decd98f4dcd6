/** How often the kernel has killed a process for want of memory, of the board or of a group, since it was booted. */
import { join } from 'node:path';
import { parseBytes, readText } from './read-text.js';

/** Undefined on kernels before 4.13, which don't count. Source: kernel mm/oom_kill.c, /proc/vmstat. */
export function countOomKills(root = '/'): number | undefined {
  const vmstat = readText(join(root, 'proc/vmstat')) ?? '';
  return parseBytes(/^oom_kill (\d+)$/m.exec(vmstat)?.[1]);
}
