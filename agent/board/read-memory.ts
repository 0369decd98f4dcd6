/**
 * Reads the board's memory. Each source is optional: stock Raspberry Pi OS has neither memory cgroups nor PSI. A source
 * that is absent or malformed is undefined here, never an error.
 * Source: kernel Documentation/filesystems/proc.rst (meminfo), accounting/psi.rst.
 */
import { join } from 'node:path';
import type { CgroupMemory } from './memory-cgroups.js';
import { readMemoryCgroups } from './memory-cgroups.js';
import { readText } from './read-text.js';

export type { CgroupMemory } from './memory-cgroups.js';

export interface BoardMemory {
  readonly totalBytes: number;
  /** The kernel's estimate of what can be allocated without swapping. */
  readonly availableBytes: number;
  /** Shown to people; the budget counts swap as zero. */
  readonly swapTotalBytes: number;
  readonly swapFreeBytes: number;
}

export interface MemoryReading {
  readonly board: BoardMemory | undefined;
  /** The groups that bind this process, its own first, each before those above it. */
  readonly cgroups: readonly CgroupMemory[];
  /** Share of the last 10 s in which some task waited for memory (PSI), in percent. */
  readonly stallPercent: number | undefined;
}

/** @param root where /proc and /sys are; tests give a tree of their own. */
export function readMemory(root = '/'): MemoryReading {
  return {
    board: parseMeminfo(readText(join(root, 'proc/meminfo')) ?? ''),
    cgroups: readMemoryCgroups(root),
    stallPercent: parseStall(readText(join(root, 'proc/pressure/memory')) ?? ''),
  };
}

/** Undefined unless both values are present: without MemTotal there is no floor. */
function parseMeminfo(meminfo: string): BoardMemory | undefined {
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
  };
}

function parseStall(pressure: string): number | undefined {
  const percent = /^some avg10=(\d+(?:\.\d+)?) /m.exec(pressure)?.[1];
  return percent === undefined ? undefined : Number(percent);
}
