/**
 * A memory cgroup of the executor's own, in which the kernel holds a plan to its promise: an overrun ends one
 * inference, not the board.
 *
 * It takes a group that is delegated to the agent (make-group.ts). Else there is no contract, and `contract` says why.
 * RLIMIT_DATA was tried in its place and isn't one: see docs/ARCHITECTURE.md.
 *
 * The group outlives its executors, so that pages of mapped weights stay charged to it and are found again.
 * Source: kernel Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst; systemd.resource-control(5).
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findMemoryCgroups } from './cgroup-places.js';
import { makeGroup, removeGroup } from './make-group.js';
import { filePagesOf, GROUP_FILES } from './memory-cgroups.js';
import { parseBytes, readText } from './read-text.js';

/** What holds the executor to its limit. */
export interface Contract {
  readonly kind: 'cgroup2' | 'cgroup1' | 'none';
  /** Why there is none. */
  readonly reason?: string;
  /** The limit in force; absent while there is none. */
  readonly limitBytes?: number;
}

/** Deaths in the group since it was made. */
export interface GroupKills {
  /** Times that the kernel killed in the group, for whichever reason. */
  readonly kills: number;
  /** Times that the group's own limit was met. In v1 also those that ended well, by dropping file pages. */
  readonly limitHits: number;
}

const NO_LIMIT = { 1: '-1', 2: 'max' } as const;

interface OwnGroup {
  readonly version: 1 | 2;
  readonly folder: string;
}

export class ExecutorGroup {
  #group: OwnGroup | undefined;
  /** Why there is no group. */
  #reason = '';
  #limitBytes: number | undefined;

  private constructor(found: OwnGroup | string) {
    if (typeof found === 'string') this.#reason = found;
    else this.#group = found;
  }

  /**
   * The group, or none with its reason; never throws. May move this process into a leaf of its group (v2).
   * @param root where /proc and /sys are; tests give a tree of their own.
   */
  static create(root = '/'): ExecutorGroup {
    const [own] = findMemoryCgroups(root);
    if (own === undefined) return new ExecutorGroup('the kernel offers no memory cgroup');
    try {
      return new ExecutorGroup({ version: own.version, folder: makeGroup(own, root) });
    } catch (error) {
      return new ExecutorGroup(`${own.path} is not delegated: ${describe(error)}`);
    }
  }

  get contract(): Contract {
    if (this.#group === undefined) return { kind: 'none', reason: this.#reason };
    const kind = this.#group.version === 2 ? 'cgroup2' : 'cgroup1';
    return { kind, ...(this.#limitBytes === undefined ? {} : { limitBytes: this.#limitBytes }) };
  }

  /** The file that a process writes its pid into to be in the group; undefined without one. */
  get procsFile(): string | undefined {
    return this.#group === undefined ? undefined : join(this.#group.folder, 'cgroup.procs');
  }

  /** Looks whether a process is in the group. If it couldn't move there, there is no contract from now on. */
  confirm(pid: number): void {
    if (this.#group === undefined || !existsSync(`/proc/${pid}`)) return;
    const pids = readText(join(this.#group.folder, 'cgroup.procs'))?.split('\n') ?? [];
    if (pids.includes(String(pid))) return;
    this.remove();
    this.#reason = 'the executor could not move into its group';
  }

  /**
   * Limits the group; undefined lifts the limit. False if there is no group, or if it holds more than that without
   * file pages: then the old limit stays, and the caller has to free first.
   */
  setLimit(bytes: number | undefined): boolean {
    if (this.#group === undefined) return false;
    const { version, folder } = this.#group;
    // v2 would kill at once.
    if (bytes !== undefined && this.heldBytes() > bytes) return false;
    try {
      writeFileSync(
        join(folder, GROUP_FILES[version].max),
        bytes === undefined ? NO_LIMIT[version] : String(bytes),
      );
    } catch {
      // EBUSY: v1 couldn't reclaim enough.
      return false;
    }
    this.#limitBytes = bytes;
    return true;
  }

  /** Bytes of the group that can't be dropped: private and kernel memory, not pages of files; 0 without a group. */
  heldBytes(): number {
    if (this.#group === undefined) return 0;
    const { version, folder } = this.#group;
    const currentBytes = parseBytes(readText(join(folder, GROUP_FILES[version].current))) ?? 0;
    return currentBytes - this.fileBytes();
  }

  /** Bytes of file pages, which the kernel drops before it kills; 0 without a group. */
  fileBytes(): number {
    if (this.#group === undefined) return 0;
    const { version, folder } = this.#group;
    return filePagesOf(readText(join(folder, 'memory.stat')), version);
  }

  /** Undefined without a group. */
  countKills(): GroupKills | undefined {
    if (this.#group === undefined) return undefined;
    const { version, folder } = this.#group;
    const textOf = (file: string) => readText(join(folder, file)) ?? '';
    if (version === 1)
      return {
        kills: countOf('oom_kill', textOf('memory.oom_control')),
        limitHits: parseBytes(textOf('memory.failcnt')) ?? 0,
      };
    const events = textOf('memory.events');
    return { kills: countOf('oom_kill', events), limitHits: countOf('oom', events) };
  }

  /** Removes the group, which has to be empty; may be called again. */
  remove(): void {
    if (this.#group === undefined) return;
    removeGroup(this.#group.folder);
    this.#group = undefined;
    this.#reason = 'the group was removed';
    this.#limitBytes = undefined;
  }
}

/** A count in lines of `key count`. */
function countOf(key: string, text: string): number {
  return parseBytes(new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1]) ?? 0;
}

function describe(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
