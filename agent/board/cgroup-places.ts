/**
 * Where the memory cgroups of this process are: its own group and all groups above it.
 *
 * 1. The mounts come from /proc/self/mountinfo, else the usual places are tried. A v2 hierarchy is known by its
 *    cgroup.controllers; /proc/cgroups tells which controllers v1 has, and nothing about what is mounted.
 * 2. The group of this process comes from /proc/self/cgroup and is made relative to what the mount shows.
 * 3. It and each group above it is listed, up to the mount point.
 *
 * Hybrid systems have both versions mounted, and the memory controller in one of them: both are looked at, a group
 * without memory files is left out. So are groups above a container's root, which can't be seen from within.
 * Source: kernel Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst; man proc_pid_mountinfo.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readText } from './read-text.js';

export interface CgroupPlace {
  readonly version: 1 | 2;
  /** As /proc/self/cgroup names it. */
  readonly path: string;
  /** Folder of its files, below the given root. */
  readonly folder: string;
}

interface Hierarchy {
  readonly version: 1 | 2;
  readonly usualPlaces: readonly string[];
  /** Which file shows that the hierarchy is there. */
  readonly proof: string;
  /** Which file shows that a group has the memory controller. */
  readonly memory: string;
}

const HIERARCHIES: readonly Hierarchy[] = [
  {
    version: 2,
    usualPlaces: ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'],
    proof: 'cgroup.controllers',
    memory: 'memory.current',
  },
  {
    version: 1,
    usualPlaces: ['/sys/fs/cgroup/memory'],
    proof: 'memory.usage_in_bytes',
    memory: 'memory.usage_in_bytes',
  },
];

interface Mount {
  readonly version: 1 | 2;
  /** The group that the mount point shows. */
  readonly group: string;
  readonly point: string;
}

/** Group below the service's own that the agent moves into: in v2 a group with controlled groups has no processes. */
export const AGENT_LEAF = 'agent';

/** Path from the root to the file that names the groups of this process. */
export const MEMBERSHIPS = 'proc/self/cgroup';

/** The memory cgroups that bind this process, its own first, each before those above it; none where there are none. */
export function findMemoryCgroups(root: string): readonly CgroupPlace[] {
  const mounts = parseMounts(readText(join(root, 'proc/self/mountinfo')) ?? '');
  const memberships = readText(join(root, MEMBERSHIPS)) ?? '';
  return HIERARCHIES.flatMap((hierarchy) => {
    const mount = findMount(root, { hierarchy, mounts });
    if (mount === undefined) return [];
    const { version, memory } = hierarchy;
    const path = parseMembership(memberships, version) ?? mount.group;
    return groupsUpwards(path, mount)
      .map((group) => ({ version, path: group.path, folder: join(root, mount.point, group.below) }))
      .filter(({ folder }) => existsSync(join(folder, memory)));
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

interface GroupBelow {
  readonly path: string;
  /** Path below the mount point. */
  readonly below: string;
}

/** The group at `path` and those above it as far as the mount shows them, the mount point's last. */
function groupsUpwards(path: string, mount: Mount): readonly GroupBelow[] {
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
