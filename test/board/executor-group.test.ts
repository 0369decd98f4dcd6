import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { forkDisposable } from '../../agent/board/disposable-child.js';
import { ExecutorGroup } from '../../agent/board/executor-group.js';
import { fakeTree, groupV2, MB } from './fake-tree.js';
import { NO_REAL_GROUP, realGroup } from './real-group.js';

const SERVICE = 'sys/fs/cgroup/system.slice/mafat.service';
const NAME = `mafat-executor-${process.pid}`;
const GROUP = `${SERVICE}/${NAME}`;

/** A delegated group of systemd; the executor's group has the files that the kernel would make with it. */
const DELEGATED = {
  'proc/self/cgroup': '0::/system.slice/mafat.service\n',
  'sys/fs/cgroup/cgroup.controllers': 'memory\n',
  ...groupV2(SERVICE, { max: 256, current: 60 }),
  ...groupV2(GROUP, { current: 50, file: [10, 10] }),
  [`${GROUP}/cgroup.procs`]: '7\n8\n',
  [`${GROUP}/memory.swap.max`]: 'max\n',
  [`${GROUP}/memory.events`]: 'low 0\nhigh 0\nmax 5\noom 0\noom_kill 0\noom_group_kill 0\n',
};

test('ExecutorGroup.create() moves the agent into a leaf, hands memory down, and keeps the group out of swap (v2)', (context) => {
  const root = fakeTree(context, DELEGATED);
  const group = ExecutorGroup.create(root);
  assert.deepEqual(group.contract, { kind: 'cgroup2' });
  const read = (path: string) => readFileSync(join(root, path), 'utf8');
  assert.equal(read(`${SERVICE}/agent/cgroup.procs`), String(process.pid));
  assert.equal(read(`${SERVICE}/cgroup.subtree_control`), '+memory');
  assert.equal(read(`${GROUP}/memory.swap.max`), '0');
  assert.equal(group.procsFile, join(root, GROUP, 'cgroup.procs'));
});

test('ExecutorGroup.create() stays in the leaf that systemd started the agent in (v2, DelegateSubgroup=)', (context) => {
  const root = fakeTree(context, {
    ...DELEGATED,
    ...groupV2(`${SERVICE}/agent`, { current: 9 }),
    'proc/self/cgroup': '0::/system.slice/mafat.service/agent\n',
  });
  assert.equal(ExecutorGroup.create(root).procsFile, join(root, GROUP, 'cgroup.procs'));
  assert.ok(!existsSync(join(root, SERVICE, 'agent/agent')));
});

test('ExecutorGroup.create() says why there is none, and moves back out of the leaf', (context) => {
  const none = ExecutorGroup.create(fakeTree(context, {}));
  assert.deepEqual(none.contract, { kind: 'none', reason: 'the kernel offers no memory cgroup' });
  assert.deepEqual(
    [none.procsFile, none.heldBytes(), none.setLimit(MB), none.countKills()],
    [undefined, 0, false, undefined],
  );
  const root = fakeTree(context, { ...DELEGATED, [`${SERVICE}/cgroup.procs`]: '1\n' });
  // Here a folder that can't be written stands for a group that others run in.
  mkdirSync(join(root, SERVICE, 'cgroup.subtree_control'));
  const { contract } = ExecutorGroup.create(root);
  assert.equal(contract.kind, 'none');
  assert.match(contract.reason ?? '', /^\/system.slice\/mafat.service is not delegated: E/);
  assert.equal(readFileSync(join(root, SERVICE, 'cgroup.procs'), 'utf8'), String(process.pid));
});

test('ExecutorGroup.create() removes empty groups of agents that are gone', (context) => {
  const root = fakeTree(context, { ...DELEGATED, 'proc/5/status': '' });
  for (const pid of [5, 6]) mkdirSync(join(root, SERVICE, `mafat-executor-${pid}`));
  ExecutorGroup.create(root);
  const groups = readdirSync(join(root, SERVICE)).filter((name) => name.startsWith('mafat-executor-'));
  assert.deepEqual(new Set(groups), new Set(['mafat-executor-5', NAME]));
});

test('ExecutorGroup.setLimit() limits what is above the pages that must stay, and lifts the limit', (context) => {
  const root = fakeTree(context, DELEGATED);
  const group = ExecutorGroup.create(root);
  const limit = () => readFileSync(join(root, GROUP, 'memory.max'), 'utf8');
  assert.equal(group.heldBytes(), 30 * MB);
  assert.ok(!group.setLimit(29 * MB), 'the kernel would kill');
  assert.equal(limit(), 'max\n');
  assert.ok(group.setLimit(40 * MB));
  assert.equal(limit(), String(40 * MB));
  assert.deepEqual(group.contract, { kind: 'cgroup2', limitBytes: 40 * MB });
  assert.ok(group.setLimit(undefined));
  assert.deepEqual([limit(), group.contract], ['max', { kind: 'cgroup2' }]);
});

test('ExecutorGroup.countKills() tells kills by the own limit from others (v2)', (context) => {
  const root = fakeTree(context, DELEGATED);
  const group = ExecutorGroup.create(root);
  assert.deepEqual(group.countKills(), { kills: 0, limitHits: 0 });
  writeFileSync(join(root, GROUP, 'memory.events'), 'max 9\noom 2\noom_kill 1\noom_group_kill 0\n');
  assert.deepEqual(group.countKills(), { kills: 1, limitHits: 2 });
});

test('ExecutorGroup.confirm() ends the contract when a process is not in the group', (context) => {
  const root = fakeTree(context, { ...DELEGATED, [`${GROUP}/cgroup.procs`]: `${process.pid}\n` });
  const group = ExecutorGroup.create(root);
  group.confirm(process.pid);
  assert.equal(group.contract.kind, 'cgroup2');
  writeFileSync(join(root, GROUP, 'cgroup.procs'), '1\n');
  group.confirm(process.pid);
  assert.deepEqual(group.contract, { kind: 'none', reason: 'the executor could not move into its group' });
});

test('ExecutorGroup holds a process to its limit, and counts its death', {
  skip: NO_REAL_GROUP,
}, async (context) => {
  const group = ExecutorGroup.create(realGroup(context));
  assert.deepEqual(group.contract, { kind: 'cgroup1' });
  const child = forkDisposable(new URL('./hungry-process.js', import.meta.url), {
    role: 'executor',
    procsFile: group.procsFile,
  });
  const [{ groups }] = (await once(child, 'message')) as [{ groups: string }];
  assert.match(groups, new RegExp(`memory:.*/${NAME}$`, 'm'));
  const pid = child.pid ?? 0;
  group.confirm(pid);
  child.send(40);
  await once(child, 'message');
  assert.ok(group.heldBytes() > 40 * MB);
  assert.ok(!group.setLimit(20 * MB), 'it holds more already');
  assert.ok(group.setLimit(90 * MB));
  assert.deepEqual(group.contract, { kind: 'cgroup1', limitBytes: 90 * MB });
  child.send(90);
  const [, signal] = (await once(child, 'exit')) as [number | null, string];
  assert.equal(signal, 'SIGKILL');
  const counts = group.countKills();
  assert.equal(counts?.kills, 1);
  assert.ok(counts.limitHits > 0);
  group.remove();
  group.remove();
  assert.deepEqual(group.contract, { kind: 'none', reason: 'the group was removed' });
});

test('ExecutorGroup.create() finds its group where the unit has it mounted once more, over a read-only tree (v2)', (context) => {
  const own = '/system.slice/mafat.service';
  const point = `/sys/fs/cgroup${own}`;
  const root = fakeTree(context, {
    ...DELEGATED,
    'proc/self/mountinfo': [
      '30 23 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw',
      `99 30 0:26 ${own} ${point} rw,nosuid - cgroup2 cgroup2 rw`,
      '',
    ].join('\n'),
  });
  assert.equal(ExecutorGroup.create(root).procsFile, join(root, GROUP, 'cgroup.procs'));
});
