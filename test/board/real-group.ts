/** A memory cgroup of this machine to make groups in, apart from the one that the tests run in. */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fakeTree } from './fake-tree.js';

const MOUNT = '/sys/fs/cgroup/memory';

/** Why tests on real groups are left out; false if they can run. */
export const NO_REAL_GROUP = reasonToSkip();

function reasonToSkip(): string | false {
  if (!existsSync(join(MOUNT, 'memory.usage_in_bytes'))) return 'no memory cgroup of version 1';
  try {
    accessSync(MOUNT, constants.W_OK);
    mkdirSync(join(MOUNT, `mafat-test-${process.pid}`), { recursive: true });
    rmdirSync(join(MOUNT, `mafat-test-${process.pid}`));
    return false;
  } catch {
    return 'no right to make memory cgroups';
  }
}

let made = 0;

/** A tree in which this process is in a group of its own. The group is real; it goes with the test, and those in it do. */
export function realGroup(context: TestContext): string {
  made += 1;
  const name = `mafat-test-${process.pid}-${made}`;
  const folder = join(MOUNT, name);
  mkdirSync(folder);
  context.after(() => removeGroups(folder));
  const root = fakeTree(context, { 'proc/self/cgroup': `4:memory:/${name}\n`, 'sys/fs/cgroup/empty': '' });
  symlinkSync(MOUNT, join(root, 'sys/fs/cgroup/memory'));
  return root;
}

/** Ends what still runs in a group's subgroups, and removes all of them. */
async function removeGroups(folder: string): Promise<void> {
  const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of below) {
    const pids = () =>
      readFileSync(join(folder, name, 'cgroup.procs'), 'utf8')
        .split('\n')
        .filter(Boolean);
    for (const pid of pids()) process.kill(Number(pid), 'SIGKILL');
    while (pids().length > 0) await sleep(10);
    rmdirSync(join(folder, name));
  }
  rmdirSync(folder);
}
