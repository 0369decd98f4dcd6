/**
 * Makes a memory cgroup for the executor, below a group that is delegated to the agent.
 *
 * - v2: groups that control memory below them may hold no processes. So the agent moves into a leaf below its own
 *   group, hands the memory controller down, and makes the executor's group beside the leaf. That needs Delegate= in
 *   the unit, or a container's own group, with no other process in it.
 * - v1: a group below the agent's own. systemd delegates none to unprivileged services, so it takes root.
 *
 * The executor's pages aren't swapped. What is over the limit would go there instead, and each frame would wait for it;
 * and a neighbour's pages go first when the whole board is short.
 * Source: kernel Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst; man systemd.resource-control.
 */
import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { CgroupPlace } from './cgroup-places.js';
import { AGENT_LEAF } from './cgroup-places.js';

/** Prefix of the group's name; the agent's pid follows. */
const NAME = 'mafat-executor-';

/** Files that keep the group's pages out of swap, and their text. */
const NO_SWAP = { 1: ['memory.swappiness', '0'], 2: ['memory.swap.max', '0'] } as const;

/**
 * Makes the executor's group. @returns its folder.
 * @throws {Error} of the file system, if the agent's group isn't delegated to it.
 */
export function makeGroup(own: CgroupPlace, root: string): string {
  const parent = own.version === 2 ? delegateMemory(own) : own.folder;
  removeLeftOvers(parent, root);
  const folder = join(parent, `${NAME}${process.pid}`);
  mkdirSync(folder, { recursive: true });
  const [file, text] = NO_SWAP[own.version];
  // A kernel without swap accounting has no such file.
  if (existsSync(join(folder, file))) writeFileSync(join(folder, file), text);
  return folder;
}

/** Moves this process into a leaf, unless systemd did (DelegateSubgroup=). @returns the folder of the service's group. */
function delegateMemory({ folder }: CgroupPlace): string {
  const isInLeaf = basename(folder) === AGENT_LEAF;
  const service = isInLeaf ? dirname(folder) : folder;
  try {
    if (!isInLeaf) moveTo(join(service, AGENT_LEAF));
    writeFileSync(join(service, 'cgroup.subtree_control'), '+memory');
  } catch (error) {
    if (!isInLeaf) moveBack(service);
    throw error;
  }
  return service;
}

function moveTo(leaf: string): void {
  if (!existsSync(leaf)) mkdirSync(leaf);
  writeFileSync(join(leaf, 'cgroup.procs'), String(process.pid));
}

function moveBack(service: string): void {
  try {
    writeFileSync(join(service, 'cgroup.procs'), String(process.pid));
  } catch {
    // EACCES: this process couldn't leave, either.
  }
  removeGroup(join(service, AGENT_LEAF));
}

/** Groups of agents that were killed before they could remove them. */
function removeLeftOvers(parent: string, root: string): void {
  const pidOf = (name: string) => name.slice(NAME.length);
  for (const name of readdirSync(parent).filter((other) => other.startsWith(NAME)))
    if (!existsSync(join(root, 'proc', pidOf(name)))) removeGroup(join(parent, name));
}

/** Removes an empty group. */
export function removeGroup(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // EBUSY: a process in it has still to go. An empty group costs next to nothing, and the next agent removes it.
  }
}
