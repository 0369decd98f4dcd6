/**
 * What the memory cgroups of this process allow and hold: its own group and all groups above it, since each of
 * them can make the kernel reclaim or kill.
 *
 * 1. The mounts come from /proc/self/mountinfo, else the usual places are tried. A v2 hierarchy is known by its
 *    cgroup.controllers; /proc/cgroups tells which controllers v1 has, and nothing about what is mounted.
 * 2. The group of this process comes from /proc/self/cgroup and is made relative to what the mount shows.
 * 3. It and each group above it is read, up to the mount point.
 *
 * Hybrid systems have both versions mounted, and the memory controller in one of them: both are read, a group
 * without memory files is left out. So are groups above a container's root, which can't be seen from within.
 * A v1 group with use_hierarchy=0 isn't charged for those below it; it is counted all the same, which gives
 * away memory but breaks no limit.
 * Source: kernel Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst; man proc_pid_mountinfo.
 */
import { join } from 'node:path';
import { parseBytes, readText } from './read-text.js';

export interface CgroupMemory {
  readonly version: 1 | 2;
  /** As /proc/self/cgroup names it. */
  readonly path: string;
  /** Limit above which the kernel kills; undefined if there is none. */
  readonly maxBytes: number | undefined;
  /** Limit above which the kernel throttles and reclaims; undefined if there is none, and in v1. */
  readonly highBytes: number | undefined;
  readonly currentBytes: number;
  /** File pages among `currentBytes`: the kernel drops them before it fails an allocation. */
  readonly reclaimableBytes: number;
}

interface Hierarchy {
  readonly version: 1 | 2;
  readonly usualPlaces: readonly string[];
  /** Which file shows that the hierarchy is there. */
  readonly proof: string;
  readonly max: string;
  readonly high: string | undefined;
  readonly current: string;
  readonly filePages: readonly string[];
}

const HIERARCHIES: readonly Hierarchy[] = [
  {
    version: 2,
    usualPlaces: ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'],
    proof: 'cgroup.controllers',
    max: 'memory.max',
    high: 'memory.high',
    current: 'memory.current',
    filePages: ['inactive_file', 'active_file'],
  },
  {
    version: 1,
    usualPlaces: ['/sys/fs/cgroup/memory'],
    proof: 'memory.usage_in_bytes',
    max: 'memory.limit_in_bytes',
    high: undefined,
    current: 'memory.usage_in_bytes',
    // Those without `total_` leave out the groups below.
    filePages: ['total_inactive_file', 'total_active_file'],
  },
];

/** "Unlimited" in v1 is the largest count of pages: 2^31 - 1 of 4 KiB on 32 bits, about 2^63 bytes on 64. */
const UNLIMITED_BYTES = (2 ** 31 - 1) * 4096;

interface Mount {
  readonly version: 1 | 2;
  /** The group that the mount point shows. */
  readonly group: string;
  readonly point: string;
}

/** The memory cgroups that bind this process, its own first; none where there are none. */
export function readMemoryCgroups(root: string): readonly CgroupMemory[] {
  const mounts = parseMounts(readText(join(root, 'proc/self/mountinfo')) ?? '');
  const memberships = readText(join(root, 'proc/self/cgroup')) ?? '';
  return HIERARCHIES.flatMap((hierarchy) => {
    const mount = findMount(root, { hierarchy, mounts });
    if (mount === undefined) {
      return [];
    }
    const path = parseMembership(memberships, hierarchy.version) ?? mount.group;
    return groupsUpwards(path, mount).flatMap(
      (group) => readGroup(join(root, mount.point, group.below), { hierarchy, path: group.path }) ?? [],
    );
  });
}

/** Lines are `id parent device root point options [tags] - type source superOptions`. */
function parseMounts(mountinfo: string): readonly Mount[] {
  return mountinfo.split('\n').flatMap((line): readonly Mount[] => {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , group, point] = left.split(' ');
    const [type, , options = ''] = right.split(' ');
    const version =
      type === 'cgroup2' ? 2 : type === 'cgroup' && options.split(',').includes('memory') ? 1 : 0;
    return version === 0 || group === undefined || point === undefined
      ? []
      : [{ version, group: unescapeOctal(group), point: unescapeOctal(point) }];
  });
}

/** Spaces and backslashes are octal in mountinfo, and systemd's names of groups have backslashes. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

function findMount(
  root: string,
  { hierarchy, mounts }: { readonly hierarchy: Hierarchy; readonly mounts: readonly Mount[] },
): Mount | undefined {
  const { version, usualPlaces, proof } = hierarchy;
  const candidates = [
    ...mounts.filter((mount) => mount.version === version),
    ...usualPlaces.map((point) => ({ version, group: '/', point })),
  ];
  return candidates.find(({ point }) => readText(join(root, point, proof)) !== undefined);
}

/** Lines are `id:controllers:path`; the one of v2 is `0::path`. */
function parseMembership(memberships: string, version: 1 | 2): string | undefined {
  for (const line of memberships.split('\n')) {
    const [, id, controllers = '', path] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    if (version === 2 ? id === '0' && controllers === '' : controllers.split(',').includes('memory')) {
      return path;
    }
  }
  return undefined;
}

interface GroupPlace {
  readonly path: string;
  /** Path below the mount point. */
  readonly below: string;
}

/** The group at `path` and those above it as far as the mount shows them, the mount point's last. */
function groupsUpwards(path: string, mount: Mount): readonly GroupPlace[] {
  const names = namesBelow(mount.group, path);
  return Array.from({ length: names.length + 1 }, (_, up) => {
    const below = names.slice(0, names.length - up);
    return { path: join(mount.group, ...below), below: below.join('/') };
  });
}

/** A path outside the mount's group is one of another namespace: then only what the mount point shows is ours. */
function namesBelow(group: string, path: string): readonly string[] {
  const prefix = group === '/' ? '/' : `${group}/`;
  const names = `${path}/`.startsWith(prefix) ? path.slice(prefix.length).split('/') : [];
  return names.includes('..') ? [] : names.filter((name) => name !== '');
}

function readGroup(
  folder: string,
  { hierarchy, path }: { readonly hierarchy: Hierarchy; readonly path: string },
): CgroupMemory | undefined {
  const bytesOf = (file: string) => parseBytes(readText(join(folder, file)));
  const currentBytes = bytesOf(hierarchy.current);
  if (currentBytes === undefined) {
    return undefined;
  }
  return {
    version: hierarchy.version,
    path,
    maxBytes: limitOf(bytesOf(hierarchy.max)),
    highBytes: hierarchy.high === undefined ? undefined : limitOf(bytesOf(hierarchy.high)),
    currentBytes,
    reclaimableBytes: sumOf(readText(join(folder, 'memory.stat')) ?? '', hierarchy.filePages),
  };
}

/** "max" has no bytes: no limit. */
function limitOf(bytes: number | undefined): number | undefined {
  return bytes === undefined || bytes >= UNLIMITED_BYTES ? undefined : bytes;
}

/** Lines are `key bytes`; an absent one counts as 0, which only makes the budget smaller. */
function sumOf(stat: string, keys: readonly string[]): number {
  return stat
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([key = '']) => keys.includes(key))
    .reduce((sum, [, bytes]) => sum + (parseBytes(bytes) ?? 0), 0);
}
