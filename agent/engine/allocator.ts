/**
 * The executor's allocator: jemalloc where the board has it, else glibc's malloc.
 *
 * ONNX Runtime asks for blocks of many sizes in each step. glibc either gives each one back, which costs a fault for
 * each page that is wanted again, or keeps them, and holes grow from image to image. jemalloc gives pages back a while
 * after they were last used, so that steps find them and memory stays flat. docs/benchmarks.md has the figures.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Allocator } from '../../shared/predict/index.js';
import { ALLOCATORS } from '../../shared/predict/index.js';

/** Folders that Debian, Raspberry Pi OS, Fedora and local builds install libraries in. */
const FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/usr/local/lib',
] as const;

const JEMALLOC = 'libjemalloc.so.2';

/**
 * One arena, since one request runs at a time. No thread caches, which keep blocks of their own. Unused pages go back
 * after a second, so that the next run of a camera finds them. Where a page fault costs 8 us, as on some virtual machines,
 * 20 ms make small networks two to five times as slow, for 2 % less memory; 3 s take 12 % more (bench/allocators,
 * docs/benchmarks.md). Source: man jemalloc, section TUNING.
 */
const JEMALLOC_CONF = 'narenas:1,tcache:false,dirty_decay_ms:1000,muzzy_decay_ms:0';

/** Blocks of 128 KiB and more go back to the system when they are freed. Source: man mallopt; glibc manual, Tunables. */
const GLIBC_ENVIRONMENT = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '131072',
  MALLOC_TRIM_THRESHOLD_: '131072',
  GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
};

/** What a board without jemalloc loses, for people. Measured with Yolo-Fastest untiled (docs/benchmarks.md). */
export const NO_JEMALLOC = 'without libjemalloc2 small networks take up to 2.5 times as long';

export interface FoundAllocator {
  readonly kind: Allocator;
  /** What the executor's process needs in its environment. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface AllocatorOptions {
  /** Allocator that is asked for; by default that of `MAFAT_ALLOCATOR`, else the best one that the board has. */
  readonly wanted?: Allocator;
  /** Folders in which the library is looked for. */
  readonly folders?: readonly string[];
}

/** @throws {RangeError} if jemalloc is asked for and the board doesn't have it. */
export function findAllocator({
  wanted = wantedByUser(),
  folders = FOLDERS,
}: AllocatorOptions = {}): FoundAllocator {
  const library = folders.map((folder) => join(folder, JEMALLOC)).find((path) => existsSync(path));
  if (wanted === 'glibc' || (wanted === undefined && library === undefined))
    return { kind: 'glibc', environment: GLIBC_ENVIRONMENT };
  if (library === undefined)
    throw new RangeError(`Cannot use jemalloc: ${JEMALLOC} is in none of ${folders.join(', ')}`);
  return { kind: 'jemalloc', environment: { LD_PRELOAD: library, MALLOC_CONF: JEMALLOC_CONF } };
}

/** @throws {RangeError} if the variable names no allocator. */
function wantedByUser(value = process.env.MAFAT_ALLOCATOR): Allocator | undefined {
  const wanted = ALLOCATORS.find((known) => known === value);
  if (wanted !== undefined || value === undefined || value === '') return wanted;
  throw new RangeError(`Cannot use MAFAT_ALLOCATOR=${value}: expected ${ALLOCATORS.join(' or ')}`);
}
