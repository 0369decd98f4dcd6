/**
 * What the kernel offers for memory: cgroups, stalls (PSI), swap. The agent serves without each of them. Stock Raspberry
 * Pi OS has the first two switched off.
 */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { findMemoryCgroups } from '../board/cgroup-places.js';
import { MemorySource } from '../board/read-memory.js';
import { readText } from '../board/read-text.js';
import type { Check, Result } from './check.js';
import { bad, fine, poor } from './check.js';
import { showBytes } from './show-bytes.js';

const CMDLINE = 'the line of /boot/firmware/cmdline.txt (or of the boot loader), then reboot';

/** The unit's group where systemd keeps services. */
const UNIT_GROUP = 'sys/fs/cgroup/system.slice/mafat-agent.service';

export const MEMORY_CHECKS: readonly Check[] = [
  { name: 'memory', run: ({ root, config }) => [checkBoard(root, config.memory.floor)] },
  { name: 'cgroup', run: ({ root }) => checkGroups(root) },
  { name: 'stalls (PSI)', run: ({ root }) => [checkStalls(root)] },
  { name: 'swap', run: ({ root }) => [checkSwap(root)] },
];

export function checkBoard(root: string, floor: number): Result {
  const source = new MemorySource(root);
  const { board } = source.read();
  source.close();
  if (board === undefined)
    return bad('/proc/meminfo cannot be read: no budget is known', 'mount /proc, or set memory.budget');
  const { totalBytes, availableBytes } = board;
  const spareBytes = availableBytes - floor * totalBytes;
  const text = `${showBytes(availableBytes)} of ${showBytes(totalBytes)} available`;
  return spareBytes > 0
    ? fine(`${text}, ${showBytes(spareBytes)} above the floor`)
    : poor(`${text}, below the floor of ${floor * 100} %`, 'end other programs; no model fits now');
}

export function checkGroups(root: string): readonly Result[] {
  const [own, ...above] = findMemoryCgroups(root);
  if (own === undefined)
    return [
      poor(
        'no memory cgroup: the kernel does not hold the executor to its plan',
        `append cgroup_enable=memory to ${CMDLINE}`,
      ),
    ];
  return [checkDelegation(root, own), ...checkLimits(root, [own, ...above].length)];
}

/** The unit's own group counts where there is one, since this command runs in another. */
function checkDelegation(root: string, own: { readonly version: 1 | 2; readonly folder: string }): Result {
  const controlled = readText(join(root, UNIT_GROUP, 'cgroup.subtree_control'));
  if (controlled?.split(/\s+/).includes('memory')) return fine('version 2, delegated to mafat-agent.service');
  if (own.version === 1)
    return isWritable(own.folder)
      ? fine('version 1, writable for this user')
      : poor(
          'version 1, which is not delegated: the executor has no group of its own',
          'boot with systemd.unified_cgroup_hierarchy=1, or accept it',
        );
  if (controlled !== undefined)
    return poor(
      'version 2; the unit runs, but no executor group was made yet',
      'look for "contract" in `mafat status --json`; Delegate=memory must be in the unit',
    );
  return isWritable(own.folder)
    ? fine('version 2, delegated to this user')
    : fine('version 2; the unit gets a group delegated (Delegate=memory), this shell has none');
}

/** Limits that bind this process, on its own group and on those above. */
function checkLimits(root: string, count: number): readonly Result[] {
  const source = new MemorySource(root);
  const { cgroups, board } = source.read();
  source.close();
  const limited = cgroups.filter(
    ({ maxBytes, highBytes }) => maxBytes !== undefined || highBytes !== undefined,
  );
  if (limited.length === 0) return [fine(`no limit on ${count === 1 ? 'it' : `${count} groups`}`)];
  return limited.map(({ path, maxBytes, highBytes, currentBytes, reclaimableBytes }) => {
    const limitBytes = Math.min(maxBytes ?? Number.POSITIVE_INFINITY, highBytes ?? Number.POSITIVE_INFINITY);
    const roomBytes = limitBytes - currentBytes + reclaimableBytes;
    const text = `${path} is limited to ${showBytes(limitBytes)}, ${showBytes(Math.max(0, roomBytes))} of it free`;
    const isTight = roomBytes < 0.05 * (board?.totalBytes ?? limitBytes);
    return isTight ? poor(text, 'raise the limit, or no model fits') : fine(text);
  });
}

export function checkStalls(root: string): Result {
  const pressure = readText(join(root, 'proc/pressure/memory'));
  if (pressure === undefined)
    return poor(
      'not offered: the agent sees memory, not tasks that wait for it',
      `append psi=1 to ${CMDLINE}`,
    );
  const average = /^some avg10=(\S+)/m.exec(pressure)?.[1] ?? '?';
  return fine(`offered; tasks waited ${average} % of the last 10 s`);
}

/** Lines of /proc/swaps: file, type, size, used (KiB), priority. */
export function checkSwap(root: string): Result {
  const [, ...lines] = (readText(join(root, 'proc/swaps')) ?? '').trim().split('\n');
  const devices = lines
    .map((line) => line.split(/\s+/))
    .map(([file = '', , size]) => ({ file, size: Number(size) }));
  if (devices.length === 0)
    return fine('none; memory that other programs do not use cannot move away (zram would let it)');
  const text = devices.map(({ file, size }) => `${file} ${showBytes(size * 1024)}`).join(', ');
  const onCard = devices.filter(({ file }) => !/^\/dev\/zram/.test(file));
  if (onCard.length === 0) return fine(`${text}; compressed in memory, so it counts as nothing`);
  return poor(
    `${text}; frames would wait for the disk, and cards wear out`,
    'use zram instead (Debian: apt install zram-tools; Raspberry Pi OS: dphys-swapfile off)',
  );
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    // Not ours.
    return false;
  }
}
