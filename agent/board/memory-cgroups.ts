/**
 * What the memory cgroups of this process allow and hold: its own group and all groups above it, since each of them
 * can make the kernel reclaim or kill.
 *
 * A v1 group with use_hierarchy=0 isn't charged for those below it; it is counted all the same, which gives away
 * memory but breaks no limit.
 * Source: kernel Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst.
 */
import { join } from 'node:path';
import type { CgroupPlace } from './cgroup-places.js';
import { KernelFile } from './kernel-file.js';
import { parseBytes } from './read-text.js';

export interface CgroupMemory {
  readonly version: 1 | 2;
  /** As /proc/self/cgroup names it. */
  readonly path: string;
  /** Limit above which the kernel kills; undefined if there is none. */
  readonly maxBytes: number | undefined;
  /** Limit above which the kernel throttles and reclaims; undefined if there is none, and in v1. */
  readonly highBytes: number | undefined;
  readonly currentBytes: number;
  /** File pages among `currentBytes`: the kernel drops them before it fails an allocation. 0 without a limit. */
  readonly reclaimableBytes: number;
}

/** Names of a hierarchy's files and of the file pages in memory.stat. */
interface GroupFiles {
  readonly max: string;
  readonly high: string | undefined;
  readonly current: string;
  readonly filePages: readonly string[];
}

export const GROUP_FILES: Readonly<Record<1 | 2, GroupFiles>> = {
  1: {
    max: 'memory.limit_in_bytes',
    high: undefined,
    current: 'memory.usage_in_bytes',
    // Those without `total_` leave out the groups below.
    filePages: ['total_inactive_file', 'total_active_file'],
  },
  2: {
    max: 'memory.max',
    high: 'memory.high',
    current: 'memory.current',
    filePages: ['inactive_file', 'active_file'],
  },
};

/** "Unlimited" in v1 is the largest count of pages: 2^31 - 1 of 4 KiB on 32 bits, about 2^63 bytes on 64. */
const UNLIMITED_BYTES = (2 ** 31 - 1) * 4096;

/** One group, read as often as its caller likes. */
export class CgroupReader {
  readonly #place: CgroupPlace;
  readonly #max: KernelFile;
  readonly #high: KernelFile | undefined;
  readonly #current: KernelFile;
  readonly #stat: KernelFile;

  constructor(place: CgroupPlace) {
    const { max, high, current } = GROUP_FILES[place.version];
    const fileOf = (name: string) => new KernelFile(join(place.folder, name));
    this.#place = place;
    this.#max = fileOf(max);
    this.#high = high === undefined ? undefined : fileOf(high);
    this.#current = fileOf(current);
    this.#stat = fileOf('memory.stat');
  }

  /** Undefined once the group has gone. */
  read(): CgroupMemory | undefined {
    const currentBytes = parseBytes(this.#current.read());
    if (currentBytes === undefined) return undefined;
    const { version, path } = this.#place;
    const maxBytes = parseLimit(this.#max.read());
    const highBytes = parseLimit(this.#high?.read());
    const isLimited = maxBytes !== undefined || highBytes !== undefined;
    const stat = isLimited ? this.#stat.read() : undefined;
    return { version, path, maxBytes, highBytes, currentBytes, reclaimableBytes: filePagesOf(stat, version) };
  }

  close(): void {
    for (const file of [this.#max, this.#high, this.#current, this.#stat]) file?.close();
  }
}

/** "max" has no bytes: no limit. */
function parseLimit(text: string | undefined): number | undefined {
  const bytes = parseBytes(text);
  return bytes === undefined || bytes >= UNLIMITED_BYTES ? undefined : bytes;
}

/** File pages in the text of memory.stat. Lines are `key bytes`; an absent one counts as 0, which is on the safe side. */
export function filePagesOf(stat: string | undefined, version: 1 | 2): number {
  return GROUP_FILES[version].filePages
    .map((key) => new RegExp(`^${key} (\\d+)$`, 'm').exec(stat ?? '')?.[1])
    .reduce((sum, bytes) => sum + (parseBytes(bytes) ?? 0), 0);
}
