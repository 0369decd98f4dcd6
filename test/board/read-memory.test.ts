import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MemoryReading } from '../../agent/board/read-memory.js';
import { isStalled, MemorySource } from '../../agent/board/read-memory.js';
import { fakeTree, groupV1, groupV2, MB, meminfo } from './fake-tree.js';

const BOARD = {
  totalBytes: 1000 * MB,
  availableBytes: 400 * MB,
  swapTotalBytes: 100 * MB,
  swapFreeBytes: 90 * MB,
  zramBytes: 0,
};
const NO_STALL = { stallPercent: undefined, ownStallPercent: undefined };
const PSI =
  'some avg10=1.25 avg60=0.00 avg300=0.00 total=7\nfull avg10=9.00 avg60=0.00 avg300=0.00 total=0\n';

test('MemorySource.read() reads v2 groups up to the root, each with its limits (Debian)', (context) => {
  const root = fakeTree(context, {
    'proc/meminfo': meminfo(1000, 400),
    'proc/pressure/memory': PSI,
    'proc/self/cgroup': '0::/system.slice/mafat.service\n',
    'proc/self/mountinfo': '34 24 0:29 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n',
    // The root group has no memory.max and no memory.current.
    'sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory pids\n',
    'sys/fs/cgroup/memory.stat': 'anon 1\n',
    ...groupV2('sys/fs/cgroup/system.slice', { max: 600, current: 300, file: [20, 10] }),
    ...groupV2('sys/fs/cgroup/system.slice/mafat.service', {
      max: 256,
      high: 200,
      current: 90,
      file: [5, 6],
    }),
  });
  assert.deepEqual(readMemory(root), {
    board: BOARD,
    cgroups: [
      {
        version: 2,
        path: '/system.slice/mafat.service',
        maxBytes: 256 * MB,
        highBytes: 200 * MB,
        currentBytes: 90 * MB,
        reclaimableBytes: 11 * MB,
      },
      {
        version: 2,
        path: '/system.slice',
        maxBytes: 600 * MB,
        highBytes: undefined,
        currentBytes: 300 * MB,
        reclaimableBytes: 30 * MB,
      },
    ],
    stallPercent: 1.25,
    ownStallPercent: undefined,
  });
});

test('MemorySource.read() finds the usual places when there is no mountinfo', (context) => {
  const root = fakeTree(context, {
    'proc/self/cgroup': '0::/user.slice\n',
    'sys/fs/cgroup/cgroup.controllers': 'memory\n',
    ...groupV2('sys/fs/cgroup/user.slice', { max: 50, current: 9 }),
  });
  const [group, ...others] = readMemory(root).cgroups;
  assert.deepEqual([group?.maxBytes, group?.reclaimableBytes, others], [50 * MB, 0, []]);
});

test('MemorySource.read() reads v1 with totals over subgroups, takes a huge limit as none, and file pages below limits only', (context) => {
  const root = fakeTree(context, {
    'proc/self/cgroup': '9:name=systemd:/init\n4:cpuset,memory:/jobs/one\n',
    'proc/self/mountinfo': mountV1('/'),
    ...groupV1('sys/fs/cgroup/memory', { current: 700 }),
    ...groupV1('sys/fs/cgroup/memory/jobs', { max: 300, current: 120, file: [3, 4] }),
    ...groupV1('sys/fs/cgroup/memory/jobs/one', { current: 60, file: [1, 1] }),
    // A kernel of 32 bits: 2^31 - 1 pages.
    'sys/fs/cgroup/memory/jobs/one/memory.limit_in_bytes': '8796093018112\n',
  });
  assert.deepEqual(summary(root), ['v1 /jobs/one none 60-0', 'v1 /jobs 300 120-7', 'v1 / none 700-0']);
});

test('MemorySource.read() reads the version that has the memory controller when both are mounted (hybrid)', (context) => {
  const files = {
    'proc/self/cgroup': '4:memory:/a\n1:cpu:/\n0::/b\n',
    'proc/self/mountinfo': `${mountV1('/')}38 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n`,
    'sys/fs/cgroup/unified/cgroup.controllers': 'hugetlb\n',
    ...groupV1('sys/fs/cgroup/memory/a', { max: 80, current: 60 }),
    ...groupV1('sys/fs/cgroup/memory', { current: 900 }),
  };
  assert.deepEqual(summary(fakeTree(context, files)), ['v1 /a 80 60-0', 'v1 / none 900-0']);
  const { 'proc/self/mountinfo': _, ...unlisted } = files;
  assert.deepEqual(summary(fakeTree(context, unlisted)), ['v1 /a 80 60-0', 'v1 / none 900-0']);
});

test('MemorySource.read() reads meminfo alone on a Raspberry Pi without memory cgroup and PSI', (context) => {
  const root = fakeTree(context, {
    'proc/meminfo': meminfo(1000, 400),
    'proc/cgroups': 'memory\t0\t58\t0\n',
    'proc/self/cgroup': '0::/system.slice/mafat.service\n',
    'proc/self/mountinfo':
      '30 22 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,memory_recursiveprot\n',
    'sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io pids\n',
    'sys/fs/cgroup/system.slice/mafat.service/cgroup.procs': '1\n',
  });
  assert.deepEqual(readMemory(root), { board: BOARD, cgroups: [], ...NO_STALL });
});

test('MemorySource.read() reads the mount point as its own group in a container', (context) => {
  const own = groupV2('sys/fs/cgroup', { max: 64, current: 20 });
  // What a path with `..` must not lead to.
  const outside = groupV2('sys/fs/other', { max: 1, current: 1 });
  const files = { 'sys/fs/cgroup/cgroup.controllers': 'memory\n', ...own, ...outside };
  const mount = (group: string) => `34 24 0:29 ${group} /sys/fs/cgroup ro - cgroup2 cgroup rw\n`;
  const cases = [
    // A cgroup namespace of its own; none; a process that came in from outside; nothing known.
    { membership: '0::/\n', mountinfo: mount('/'), path: '/' },
    { membership: '0::/docker/abc\n', mountinfo: mount('/docker/abc'), path: '/docker/abc' },
    { membership: '0::/docker/abcd\n', mountinfo: mount('/docker/abc'), path: '/docker/abc' },
    { membership: '0::/../other\n', mountinfo: mount('/'), path: '/' },
    { membership: '0::/docker/abc\n', mountinfo: '', path: '/' },
    { membership: '', mountinfo: '', path: '/' },
  ];
  for (const { membership, mountinfo, path } of cases) {
    const proc = { 'proc/self/cgroup': membership, 'proc/self/mountinfo': mountinfo };
    assert.deepEqual(summary(fakeTree(context, { ...files, ...proc })), [`v2 ${path} 64 20-0`], membership);
  }
});

test('MemorySource.read() reads groups below a mounted group, with escapes in names', (context) => {
  const root = fakeTree(context, {
    'proc/self/cgroup': '4:memory:/a\\x2db/c\n',
    'proc/self/mountinfo': mountV1('/a\\134x2db'),
    ...groupV1('sys/fs/cgroup/memory', { max: 9, current: 2 }),
    ...groupV1('sys/fs/cgroup/memory/c', { max: 8, current: 1 }),
  });
  assert.deepEqual(summary(root), ['v1 /a\\x2db/c 8 1-0', 'v1 /a\\x2db 9 2-0']);
});

test('MemorySource.read() counts the memory of all zram devices, which MemAvailable does not have', (context) => {
  const root = fakeTree(context, {
    'proc/meminfo': meminfo(1000, 400),
    'sys/block/zram0/mm_stat': `${90 * MB} ${30 * MB} ${31 * MB} 0 ${33 * MB} 0 0 0 0\n`,
    'sys/block/zram1/mm_stat': `${9 * MB} ${3 * MB} ${4 * MB} 0 0 0 0\n`,
    'sys/block/zram2/mm_stat': 'nothing\n',
    'sys/block/mmcblk0/stat': '1 2 3\n',
  });
  assert.deepEqual(readMemory(root).board, { ...BOARD, zramBytes: 35 * MB });
});

test('MemorySource tells the stall since the reading before, of the board and of its own service', (context) => {
  let nowMs = 1000;
  const root = fakeTree(context, {
    'proc/self/cgroup': '0::/mafat.service/agent\n',
    'proc/pressure/memory': pressure(3, 50_000),
    'sys/fs/cgroup/cgroup.controllers': 'memory\n',
    ...groupV2('sys/fs/cgroup/mafat.service', { current: 9 }),
    ...groupV2('sys/fs/cgroup/mafat.service/agent', { current: 9 }),
    'sys/fs/cgroup/mafat.service/memory.pressure': pressure(0, 0),
    // What only the agent's own leaf saw.
    'sys/fs/cgroup/mafat.service/agent/memory.pressure': pressure(99, 9_000_000),
  });
  const source = new MemorySource(root, () => nowMs);
  context.after(() => source.close());
  const stalls = () => {
    const { stallPercent, ownStallPercent } = source.read();
    return [stallPercent, ownStallPercent];
  };
  const write = (path: string, text: string) => writeFileSync(join(root, path), text);
  assert.deepEqual(stalls(), [3, 0], 'the averages of 10 s');
  write('proc/pressure/memory', pressure(3, 80_000));
  write('sys/fs/cgroup/mafat.service/memory.pressure', pressure(0, 15_000));
  nowMs += 100;
  assert.deepEqual(stalls(), [30, 15]);
  write('proc/pressure/memory', pressure(3, 81_000));
  nowMs += 1;
  assert.deepEqual(stalls(), [30, 15], 'too short a time to measure');
  nowMs += 99;
  assert.deepEqual(stalls(), [1, 0]);
});

test('MemorySource reads files anew each time, and follows its process into another group', (context) => {
  const root = fakeTree(context, {
    'proc/self/cgroup': '0::/a\n',
    'sys/fs/cgroup/cgroup.controllers': 'memory\n',
    ...groupV2('sys/fs/cgroup/a', { max: 50, current: 10, file: [1, 1] }),
    ...groupV2('sys/fs/cgroup/a/agent', { current: 3 }),
  });
  const source = new MemorySource(root);
  context.after(() => source.close());
  const groups = () => source.read().cgroups.map(({ path, currentBytes }) => [path, currentBytes / MB]);
  assert.deepEqual(groups(), [['/a', 10]]);
  writeFileSync(join(root, 'sys/fs/cgroup/a/memory.current'), `${20 * MB}\n`);
  assert.deepEqual(groups(), [['/a', 20]]);
  writeFileSync(join(root, 'proc/self/cgroup'), '0::/a/agent\n');
  assert.deepEqual(groups(), [
    ['/a/agent', 3],
    ['/a', 20],
  ]);
  rmSync(join(root, 'sys/fs/cgroup/a/agent'), { recursive: true });
  writeFileSync(join(root, 'proc/self/cgroup'), '0::/b\n');
  assert.deepEqual(groups(), []);
});

test('isStalled() asks the service first, then the board, and takes what is unknown as calm', () => {
  const cases = [
    { stallPercent: undefined, ownStallPercent: undefined, stalled: false },
    { stallPercent: 9.9, ownStallPercent: undefined, stalled: false },
    { stallPercent: 10, ownStallPercent: undefined, stalled: true },
    { stallPercent: 80, ownStallPercent: 1, stalled: false },
    { stallPercent: undefined, ownStallPercent: 10, stalled: true },
  ];
  for (const { stalled, ...stall } of cases)
    assert.equal(isStalled({ board: undefined, cgroups: [], ...stall }), stalled);
});

test('MemorySource.read() takes malformed sources as absent', (context) => {
  const root = fakeTree(context, {
    'proc/meminfo': 'MemTotal: many kB\nMemAvailable:   400 kB\n',
    'proc/pressure/memory': 'some avg10=high\n',
    'proc/self/cgroup': 'what\n0::/a/b\n',
    'proc/self/mountinfo': 'nothing of the kind\n',
    'sys/fs/cgroup/cgroup.controllers': 'memory\n',
    ...groupV2('sys/fs/cgroup/a', { max: 5, current: 1 }),
    'sys/fs/cgroup/a/memory.current': '-1\n',
    ...groupV2('sys/fs/cgroup/a/b', { max: 5, high: 5, current: 1 }),
    'sys/fs/cgroup/a/b/memory.high': '0x10\n',
    'sys/fs/cgroup/a/b/memory.stat': 'inactive_file\nactive_file 1e9\n',
  });
  const { board, cgroups, stallPercent } = readMemory(root);
  assert.deepEqual([board, stallPercent], [undefined, undefined]);
  assert.deepEqual(summary(root), ['v2 /a/b 5 1-0']);
  assert.equal(cgroups[0]?.highBytes, undefined);
});

test('MemorySource.read() gives nothing, and no error, for an empty tree', (context) => {
  const nothing = { board: undefined, cgroups: [], ...NO_STALL };
  assert.deepEqual(readMemory(fakeTree(context, {})), nothing);
  assert.deepEqual(readMemory('/nonexistent'), nothing);
});

test('MemorySource.read() reads something sensible of this machine', {
  skip: !existsSync('/proc/meminfo'),
}, () => {
  const { board, cgroups, stallPercent } = readMemory();
  assert.ok(board !== undefined);
  assert.equal(board.totalBytes, totalmem());
  assert.ok(board.availableBytes > 0 && board.availableBytes <= board.totalBytes);
  for (const { currentBytes, reclaimableBytes, maxBytes } of cgroups) {
    assert.ok(currentBytes >= 0 && currentBytes <= board.totalBytes);
    assert.ok(reclaimableBytes >= 0 && reclaimableBytes <= board.totalBytes);
    assert.ok(maxBytes === undefined || maxBytes > 0);
  }
  assert.ok(stallPercent === undefined || (stallPercent >= 0 && stallPercent <= 100));
});

/** A first reading of a tree, by default of this machine's. */
function readMemory(root = '/'): MemoryReading {
  const source = new MemorySource(root);
  try {
    return source.read();
  } finally {
    source.close();
  }
}

/** A pressure file: percent of the last 10 s, and microseconds in all. */
function pressure(percent: number, total: number): string {
  return `some avg10=${percent}.00 avg60=0.00 avg300=0.00 total=${total}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n`;
}

/** A line of mountinfo for v1 memory, showing one group. */
function mountV1(group: string): string {
  return `32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n35 31 0:32 ${group} /sys/fs/cgroup/memory rw shared:3 master:1 - cgroup cgroup rw,memory\n`;
}

/** Each group as `version path limit current-reclaimable`, in MiB. */
function summary(root: string): readonly string[] {
  return readMemory(root).cgroups.map(({ version, path, maxBytes, currentBytes, reclaimableBytes }) => {
    const limit = maxBytes === undefined ? 'none' : maxBytes / MB;
    return `v${version} ${path} ${limit} ${currentBytes / MB}-${reclaimableBytes / MB}`;
  });
}
