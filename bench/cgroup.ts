/**
 * A memory cgroup for a bench, of version 1 or 2. Only root can make it. It is made inside the group that the bench
 * runs in, or at the root of the hierarchy if that fails.
 *
 * Swap isn't limited. Memory that a process has when it joins stays charged to its former group, in both versions.
 * Source: kernel Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

interface Hierarchy {
  readonly version: 1 | 2;
  /** Folder at which it is mounted. */
  readonly point: string;
}

const FILES = {
  1: {
    limit: 'memory.limit_in_bytes',
    unlimited: '-1',
    events: 'memory.oom_control',
    usage: 'memory.usage_in_bytes',
    peak: 'memory.max_usage_in_bytes',
    swap: 'memory.swappiness',
    withSwap: '60',
  },
  2: {
    limit: 'memory.max',
    unlimited: 'max',
    events: 'memory.events.local',
    usage: 'memory.current',
    peak: 'memory.peak',
    swap: 'memory.swap.max',
    withSwap: 'max',
  },
} as const;

/** Attempts to remove a group, since its last process may still be ending. */
const REMOVE = { tries: 50, pauseMs: 100 };

export class MemoryGroup {
  readonly version: 1 | 2;
  readonly #folder: string;
  /** Kills in each group at this one or below, groups that have gone included. */
  readonly #kills = new Map<string, number>();

  private constructor({ version, folder }: { readonly version: 1 | 2; readonly folder: string }) {
    this.version = version;
    this.#folder = folder;
  }

  /** @throws {Error} if there is no memory controller or the user isn't allowed to make a group. */
  static create(name: string): MemoryGroup {
    const problems: string[] = [];
    for (const place of placesOf(mountedHierarchies())) {
      const folder = join(place.folder, name);
      try {
        mkdirSync(folder);
        const group = new MemoryGroup({ version: place.version, folder });
        group.#prove(place.folder);
        return group;
      } catch (error) {
        problems.push(error instanceof Error ? error.message : String(error));
      }
    }
    throw new Error(problems[0] ?? 'no memory controller is mounted');
  }

  /** A group below this one, whose memory is charged to both. */
  makeChild(name: string): MemoryGroup {
    if (this.version === 2) writeFileSync(join(this.#folder, 'cgroup.subtree_control'), '+memory');
    const folder = join(this.#folder, name);
    mkdirSync(folder);
    return new MemoryGroup({ version: this.version, folder });
  }

  /** File that a process writes its id to in order to join. A process that joins first is charged in full. */
  get processesFile(): string {
    return join(this.#folder, 'cgroup.procs');
  }

  /** Private memory may be swapped out. With version 1, groups made below later take this over. */
  allowSwap(isAllowed: boolean): void {
    const { swap, withSwap } = FILES[this.version];
    const file = join(this.#folder, swap);
    // A kernel of version 2 without swap has no such file.
    if (existsSync(file)) writeFileSync(file, isAllowed ? withSwap : '0');
  }

  /** Memory that is charged to the group now, the page cache included. */
  usageBytes(): number {
    return this.#read('usage');
  }

  /** Largest `usageBytes` so far. Undefined with version 2 before Linux 5.19. */
  peakBytes(): number | undefined {
    return existsSync(join(this.#folder, FILES[this.version].peak)) ? this.#read('peak') : undefined;
  }

  setLimit(bytes: number | undefined): void {
    const { limit, unlimited } = FILES[this.version];
    writeFileSync(join(this.#folder, limit), bytes === undefined ? unlimited : String(bytes));
  }

  /** Charges all further memory of a process to this group. */
  add(pid: number): void {
    writeFileSync(this.processesFile, String(pid));
  }

  /**
   * Number of processes in the group and below that the kernel killed because memory ran out. A group below that has gone
   * counts as it was last read. Old kernels count nothing.
   */
  oomKills(): number {
    for (const folder of foldersOf(this.#folder)) {
      const file = join(folder, FILES[this.version].events);
      const events = existsSync(file) ? readFileSync(file, 'utf8') : '';
      this.#kills.set(folder, Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? 0));
    }
    return [...this.#kills.values()].reduce((sum, kills) => sum + kills, 0);
  }

  /** Removes the group and those below it. */
  async remove(): Promise<void> {
    for (let left = REMOVE.tries; ; left -= 1) {
      try {
        for (const folder of foldersOf(this.#folder).toReversed()) rmdirSync(folder);
        return;
      } catch (error) {
        if (left === 0) throw error;
        await delay(REMOVE.pauseMs);
      }
    }
  }

  #read(file: 'usage' | 'peak'): number {
    return Number(readFileSync(join(this.#folder, FILES[this.version][file]), 'utf8'));
  }

  /** Checks that limits can be set. In version 2 the group above must enable the memory controller first. */
  #prove(above: string): void {
    try {
      if (this.version === 2) writeFileSync(join(above, 'cgroup.subtree_control'), '+memory');
      this.setLimit(undefined);
    } catch (error) {
      rmdirSync(this.#folder);
      throw error;
    }
  }
}

/** A group's folder and those below it; each stands after the one above it. */
function foldersOf(folder: string): readonly string[] {
  const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [folder, ...below.flatMap(({ name }) => foldersOf(join(folder, name)))];
}

function mountedHierarchies(): readonly Hierarchy[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .flatMap((line): readonly Hierarchy[] => {
      const [, point = '', type, options = ''] = line.split(' ');
      if (type === 'cgroup' && options.split(',').includes('memory')) return [{ version: 1, point }];
      return type === 'cgroup2' ? [{ version: 2, point }] : [];
    });
}

/** Folders to make a group in: of each hierarchy the group of this process, then the root. */
function placesOf(
  hierarchies: readonly Hierarchy[],
): readonly { readonly version: 1 | 2; readonly folder: string }[] {
  const memberships = readFileSync('/proc/self/cgroup', 'utf8').split('\n');
  return hierarchies.flatMap(({ version, point }) => {
    const own = memberships
      .map((line) => line.split(':'))
      .find(([id, controllers = '']) =>
        version === 2 ? id === '0' : controllers.split(',').includes('memory'),
      );
    return [join(point, own?.slice(2).join(':') ?? ''), point].map((folder) => ({ version, folder }));
  });
}
