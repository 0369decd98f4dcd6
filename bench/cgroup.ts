/**
 * A memory cgroup for a bench, of version 1 or 2. Only root can make it. It is made inside the group that the bench
 * runs in, or at the root of the hierarchy if that fails.
 *
 * Swap isn't limited. Memory that a process has when it joins stays charged to its former group, in both versions.
 * Source: kernel Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst.
 */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

interface Hierarchy {
  readonly version: 1 | 2;
  /** Folder at which it is mounted. */
  readonly point: string;
}

const FILES = {
  1: { limit: 'memory.limit_in_bytes', unlimited: '-1', events: 'memory.oom_control' },
  2: { limit: 'memory.max', unlimited: 'max', events: 'memory.events' },
} as const;

/** Attempts to remove a group, since its last process may still be ending. */
const REMOVE = { tries: 50, pauseMs: 100 };

export class MemoryGroup {
  readonly version: 1 | 2;
  readonly #folder: string;

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

  setLimit(bytes: number | undefined): void {
    const { limit, unlimited } = FILES[this.version];
    writeFileSync(join(this.#folder, limit), bytes === undefined ? unlimited : String(bytes));
  }

  /** Charges all further memory of a process to this group. */
  add(pid: number): void {
    writeFileSync(join(this.#folder, 'cgroup.procs'), String(pid));
  }

  /** Number of the group's processes that the kernel killed because memory ran out. Old kernels don't count them. */
  oomKills(): number {
    const events = readFileSync(join(this.#folder, FILES[this.version].events), 'utf8');
    return Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? 0);
  }

  async remove(): Promise<void> {
    for (let left = REMOVE.tries; ; left -= 1) {
      try {
        rmdirSync(this.#folder);
        return;
      } catch (error) {
        if (left === 0) throw error;
        await delay(REMOVE.pauseMs);
      }
    }
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
