/**
 * Reads the board's memory. Each source is optional: stock Raspberry Pi OS has neither memory cgroups nor PSI. A source
 * that is absent or malformed is undefined here, never an error.
 * Source: kernel Documentation/filesystems/proc.rst (meminfo), accounting/psi.rst.
 */
import { basename, join } from 'node:path';
import { AGENT_LEAF, findMemoryCgroups, MEMBERSHIPS } from './cgroup-places.js';
import { KernelFile } from './kernel-file.js';
import type { CgroupMemory } from './memory-cgroups.js';
import { CgroupReader } from './memory-cgroups.js';
import { StallMeter } from './stall-meter.js';
import { ZramReader } from './zram.js';

export type { CgroupMemory } from './memory-cgroups.js';

export interface BoardMemory {
  readonly totalBytes: number;
  /** The kernel's estimate of what can be allocated without swapping, its own reserve left out. */
  readonly availableBytes: number;
  /** Shown to people; the budget counts swap as zero. */
  readonly swapTotalBytes: number;
  readonly swapFreeBytes: number;
  /** Memory that swapped pages take in zram. It is no part of `availableBytes`: swap that costs memory frees little. */
  readonly zramBytes: number;
}

export interface MemoryReading {
  readonly board: BoardMemory | undefined;
  /** The groups that bind this process, its own first, each before those above it. */
  readonly cgroups: readonly CgroupMemory[];
  /** Share of the time since the reading before in which some task of the board waited for memory, in percent. */
  readonly stallPercent: number | undefined;
  /** The same for the processes of this service alone. */
  readonly ownStallPercent: number | undefined;
}

/** Share of stalled time at which systemd signals pressure to services by default (MemoryPressureThresholdSec=). */
const STALL_PERCENT = 10;

/**
 * Whether tasks wait for memory. The service's own group decides where there is one: a neighbour may be stalled by a
 * limit of its own while the board has memory to spare.
 */
export function isStalled({ stallPercent, ownStallPercent }: MemoryReading): boolean {
  return (ownStallPercent ?? stallPercent ?? 0) >= STALL_PERCENT;
}

/** The readings of one machine. Files stay open between them, and groups are looked for once. */
export class MemorySource {
  readonly #root: string;
  readonly #meminfo: KernelFile;
  readonly #memberships: KernelFile;
  readonly #stall: StallMeter;
  readonly #zram: ZramReader;
  readonly #nowMs: () => number;
  /** Text that the groups were found by. */
  #membership: string | undefined;
  #groups: readonly CgroupReader[] | undefined;
  #ownStall: StallMeter | undefined;

  /** @param root where /proc and /sys are; tests give a tree of their own. */
  constructor(root = '/', nowMs = () => performance.now()) {
    const fileOf = (path: string) => new KernelFile(join(root, path));
    this.#root = root;
    this.#nowMs = nowMs;
    this.#meminfo = fileOf('proc/meminfo');
    this.#memberships = fileOf(MEMBERSHIPS);
    this.#stall = new StallMeter(fileOf('proc/pressure/memory'));
    this.#zram = new ZramReader(root);
  }

  read(): MemoryReading {
    this.#findGroups();
    const nowMs = this.#nowMs();
    return {
      board: parseMeminfo(this.#meminfo.read() ?? '', this.#zram.read()),
      cgroups: (this.#groups ?? []).flatMap((group) => group.read() ?? []),
      stallPercent: this.#stall.read(nowMs),
      ownStallPercent: this.#ownStall?.read(nowMs),
    };
  }

  close(): void {
    for (const file of [this.#meminfo, this.#memberships, this.#stall, this.#zram]) file.close();
    this.#closeGroups();
  }

  /** Again when this process was moved to another group, as the agent moves itself (executor-group.ts). */
  #findGroups(): void {
    const membership = this.#memberships.read();
    if (this.#groups !== undefined && membership === this.#membership) return;
    this.#closeGroups();
    this.#membership = membership;
    const places = findMemoryCgroups(this.#root);
    this.#groups = places.map((place) => new CgroupReader(place));
    const service = places.find(({ path }) => basename(path) !== AGENT_LEAF);
    if (service !== undefined)
      this.#ownStall = new StallMeter(new KernelFile(join(service.folder, 'memory.pressure')));
  }

  #closeGroups(): void {
    for (const group of this.#groups ?? []) group.close();
    this.#ownStall?.close();
    this.#groups = undefined;
    this.#ownStall = undefined;
  }
}

/** Undefined unless both values are present: without MemTotal there is no floor. */
function parseMeminfo(meminfo: string, zramBytes: number): BoardMemory | undefined {
  const bytesOf = (key: string) => {
    const kibibytes = new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
  };
  const totalBytes = bytesOf('MemTotal');
  const availableBytes = bytesOf('MemAvailable');
  if (totalBytes === undefined || availableBytes === undefined) {
    return undefined;
  }
  return {
    totalBytes,
    availableBytes,
    swapTotalBytes: bytesOf('SwapTotal') ?? 0,
    swapFreeBytes: bytesOf('SwapFree') ?? 0,
    zramBytes,
  };
}
