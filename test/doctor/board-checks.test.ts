/** The checks of the board on trees of /proc, /sys, /etc and /run as systems have them. */
import assert from 'node:assert/strict';
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseConfig } from '../../agent/config/load-config.js';
import { describeReports } from '../../agent/doctor/broker-checks.js';
import { serverOf } from '../../agent/doctor/broker-line.js';
import { checkCameras } from '../../agent/doctor/camera-checks.js';
import type { Result } from '../../agent/doctor/check.js';
import { checkClock } from '../../agent/doctor/clock-checks.js';
import { checkDisk } from '../../agent/doctor/disk-checks.js';
import { checkBoard, checkGroups, checkStalls, checkSwap } from '../../agent/doctor/memory-checks.js';
import { modelChecks } from '../../agent/doctor/model-checks.js';
import { checkNode, checkProcessor } from '../../agent/doctor/runtime-checks.js';
import { checkUnit } from '../../agent/doctor/unit-checks.js';
import { fakeTree, groupV2, meminfo } from '../board/fake-tree.js';
import { project } from '../fixtures.js';
import { surroundingsOf } from './surroundings.js';

const { signal } = new AbortController();
const verdictsOf = (results: readonly Result[]) => results.map(({ verdict }) => verdict);

test('checkNode() asks for 20.9 or newer', () => {
  const verdicts = ['18.19.0', '20.8.1', '20.9.0', '22.1.0'].map((version) => checkNode(version).verdict);
  assert.deepEqual(verdicts, ['error', 'error', 'ok', 'ok']);
});

test('checkProcessor() warns of a processor without vector instructions, and refuses others', (context) => {
  const root = fakeTree(context, {
    'proc/cpuinfo': 'processor\t: 0\nmodel name\t: Atom\nflags\t\t: fpu sse2\n\nprocessor\t: 1\n',
  });
  assert.equal(checkProcessor(root, 'x64').verdict, 'warning');
  assert.match(checkProcessor(root, 'x64').text, /^Atom, x64, 2 cores, no vector instructions known/);
  assert.equal(checkProcessor(root, 'arm').verdict, 'error');
  const pi = fakeTree(context, { 'proc/cpuinfo': 'processor\t: 0\nFeatures\t: fp asimd asimddp\n' });
  assert.deepEqual(checkProcessor(pi, 'arm64').verdict, 'ok');
});

test('stock Raspberry Pi OS: no memory cgroup and no PSI, each with the line to add', (context) => {
  const root = fakeTree(context, { 'proc/meminfo': meminfo(1024, 700), 'proc/self/cgroup': '0::/\n' });
  const [group] = checkGroups(root);
  assert.match(group?.next ?? '', /cgroup_enable=memory/);
  assert.match(checkStalls(root).next ?? '', /psi=1/);
  assert.match(checkBoard(root, 0.12).text, /^700 MB of 1.0 GB available, 577 MB above the floor$/);
});

test('checkBoard() warns below the floor, and needs /proc/meminfo', (context) => {
  const full = fakeTree(context, { 'proc/meminfo': meminfo(1000, 100) });
  assert.equal(checkBoard(full, 0.12).verdict, 'warning');
  assert.equal(checkBoard(fakeTree(context, {}), 0.12).verdict, 'error');
});

test('checkGroups() finds the unit’s delegated group, and limits on all levels', (context) => {
  const root = fakeTree(context, {
    'proc/meminfo': meminfo(1000, 500),
    'proc/self/cgroup': '0::/user.slice/shell\n',
    'sys/fs/cgroup/cgroup.controllers': 'memory\n',
    'sys/fs/cgroup/system.slice/mafat-agent.service/cgroup.subtree_control': 'memory\n',
    ...groupV2('sys/fs/cgroup/user.slice/shell', { current: 10 }),
    ...groupV2('sys/fs/cgroup/user.slice', { current: 90, max: 100, file: [0, 0] }),
  });
  const results = checkGroups(root);
  assert.deepEqual(verdictsOf(results), ['ok', 'warning']);
  assert.match(results[0]?.text ?? '', /delegated to mafat-agent.service/);
  assert.match(results[1]?.text ?? '', /^\/user.slice is limited to 100 MB, 10 MB of it free$/);
});

test('checkSwap() tells zram from a swap file', (context) => {
  const swaps = (line: string) =>
    fakeTree(context, { 'proc/swaps': `Filename Type Size Used Priority\n${line}` });
  assert.equal(checkSwap(swaps('')).verdict, 'ok');
  assert.equal(checkSwap(swaps('/dev/zram0 partition 524284 0 100\n')).verdict, 'ok');
  assert.match(
    checkSwap(swaps('/var/swap file 102396 0 -2\n')).text,
    /^\/var\/swap 100 MB; frames would wait/,
  );
});

test('checkDisk() knows a read-only mount, a network, and an SD card by its device', async (context) => {
  const mount = (device: string, options: string, type: string) => ({
    'proc/self/mountinfo': `22 1 ${device} / / ${options} - ${type} /dev/root rw\n`,
  });
  const readOnly = await checkDisk(surroundingsOf(context, mount('179:2', 'ro,noatime', 'ext4')));
  assert.deepEqual(verdictsOf(readOnly), ['ok', 'ok', 'error']);
  const network = await checkDisk(surroundingsOf(context, mount('0:30', 'rw', 'nfs4')));
  assert.deepEqual(verdictsOf(network), ['ok', 'ok', 'warning']);
  const card = surroundingsOf(context, {
    ...mount('179:2', 'rw', 'ext4'),
    'sys/block/mmcblk0/device/type': 'SD\n',
    'sys/dev/block/none': '',
  });
  symlinkSync('../../devices/platform/mmc0/block/mmcblk0/mmcblk0p2', join(card.root, 'sys/dev/block/179:2'));
  assert.match((await checkDisk(card))[2]?.text ?? '', /^ext4, on an SD card/);
});

test('checkClock() knows a board without a battery, and a clock that was set', async (context) => {
  const { root, env } = surroundingsOf(context, { 'run/systemd/timesync/synchronized': '' });
  const at = (now: string, place = root) => checkClock({ root: place, env }, { signal, now: new Date(now) });
  assert.deepEqual(verdictsOf(await at('1970-01-01T00:10:00Z')), ['error']);
  assert.match((await at('2026-12-01T00:00:00Z'))[0]?.text ?? '', /, synchronised$/);
  assert.match((await at('2026-12-01T00:00:00Z', '/none'))[0]?.text ?? '', /nothing here tells/);
});

test('checkCameras() names files, devices and programs that are missing', async (context) => {
  const surroundings = surroundingsOf(
    context,
    {},
    {
      yaml: `
models: [{ name: m }]
cameras:
  - { kind: synthetic, name: drawn, model: m }
  - { kind: file, name: stills, model: m, files: [/proc/version, /none/1.jpg] }
`,
    },
  );
  const results = await checkCameras(surroundings, signal);
  assert.deepEqual(
    results.map(({ text }) => text),
    ['drawn (synthetic)', 'stills (file): /none/1.jpg is not there'],
  );
});

test('modelChecks() has a line for each model, and one for none', async (context) => {
  const none = surroundingsOf(context, {});
  assert.equal(modelChecks(none).length, 1);
  const some = surroundingsOf(context, {}, { yaml: 'models: [{ name: a }, { name: b }]' });
  const checks = modelChecks(some);
  assert.deepEqual(
    checks.map(({ name }) => name),
    ['model a', 'model b'],
  );
  assert.deepEqual(verdictsOf((await checks[0]?.run(some, signal)) ?? []), ['error']);
});

test('checkUnit() knows a unit that is missing, shipped, or changed', async (context) => {
  const shipped = readFileSync(join(project, 'systemd/mafat-agent.service'), 'utf8');
  const look = (files: Readonly<Record<string, string>>) => checkUnit(surroundingsOf(context, files), signal);
  const place = 'etc/systemd/system/mafat-agent.service';
  assert.deepEqual(verdictsOf(await look({})), ['warning']);
  assert.deepEqual(verdictsOf(await look({ [place]: shipped })), ['ok']);
  assert.deepEqual(verdictsOf(await look({ [place]: `${shipped}Nice=5\n` })), ['warning']);
  const unknown = await look({ [place]: shipped, 'proc/1/comm': 'systemd\n' });
  assert.deepEqual(verdictsOf(unknown), ['ok', 'warning', 'warning']);
});

test('serverOf() finds the embedded broker from this machine', () => {
  const at = (yaml: string) => serverOf(parseConfig(yaml, 'test').mqtt);
  assert.equal(at(''), 'mqtt://127.0.0.1:1883');
  assert.equal(
    at('mqtt: { username: u, password: p, listen: { host: "0.0.0.0", port: 1884 } }'),
    'mqtt://127.0.0.1:1884',
  );
  assert.equal(at('mqtt: { username: u, password: p, listen: { host: "::" } }'), 'mqtt://[::1]:1883');
  assert.equal(at('mqtt: { listen: { port: 0 } }'), undefined);
  assert.equal(at('mqtt: { server: "mqtts://broker:8883" }'), 'mqtts://broker:8883');
});

test('describeReports() says whether a node is silent', () => {
  const health = JSON.stringify({ at: '2026-11-26T10:00:00.000Z' });
  const after = (seconds: number, status = 'online') =>
    describeReports(
      status,
      { health, node: 'n', interval: 60 },
      Date.parse('2026-11-26T10:00:00Z') + seconds * 1000,
    );
  assert.deepEqual(after(170).verdict, 'ok');
  assert.deepEqual(after(190).verdict, 'warning');
  assert.deepEqual(after(10, 'offline').verdict, 'warning');
  assert.equal(describeReports(undefined, { health: undefined, node: 'n', interval: 60 }).verdict, 'warning');
});
