import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { PeakMeter, readProcessMemory, readPss } from '../../agent/board/process-memory.js';
import { temporaryFolder } from '../fixtures.js';

const MB = 2 ** 20;

test('readProcessMemory() reads the lines of status, absent ones as 0', (context) => {
  const root = fakeProc(context, { RssAnon: 30, RssFile: 20, VmHWM: 70 });
  assert.deepEqual(readProcessMemory(7, root), {
    rssAnonBytes: 30 * MB,
    rssFileBytes: 20 * MB,
    swapBytes: 0,
    peakRssBytes: 70 * MB,
  });
});

test('readPss() reads the sum of proportional pages, and nothing where the kernel does not tell', (context) => {
  const root = fakeProc(context, {});
  const lines = [
    '00400000-7ff0 ---p 00000000 00:00 0 [rollup]',
    'Rss: 9216 kB',
    'Pss:   5120 kB',
    'Pss_Anon: 1 kB',
  ];
  assert.equal(readPss(7, root), undefined);
  writeFileSync(join(root, '7', 'smaps_rollup'), `${lines.join('\n')}\n`);
  assert.equal(readPss(7, root), 5 * MB);
  assert.equal(readPss(8, root), undefined);
});

test('PeakMeter takes the high-water mark without mapped files, above idle', (context) => {
  const root = fakeProc(context, { RssAnon: 30, RssFile: 20, VmHWM: 70 });
  assert.equal(measure(root, 10), 40 * MB);
});

test('PeakMeter takes private memory with swap where that is more', (context) => {
  const root = fakeProc(context, { RssAnon: 30, RssFile: 20, VmHWM: 52, VmSwap: 15 });
  assert.equal(measure(root, 10), 35 * MB);
});

test('PeakMeter gives the same when stopped twice, and 0 for a process that is gone', (context) => {
  const root = fakeProc(context, { RssAnon: 30, RssFile: 20, VmHWM: 70 });
  const meter = new PeakMeter(7, { idleBytes: 0, root });
  meter.start();
  assert.equal(meter.stop(), meter.stop());
  const gone = new PeakMeter(8, { idleBytes: MB, root });
  gone.start();
  assert.equal(gone.stop(), 0);
});

function measure(root: string, idleMb: number): number {
  const meter = new PeakMeter(7, { idleBytes: idleMb * MB, root });
  meter.start();
  return meter.stop();
}

/** A /proc with one process, 7; values in MB. */
function fakeProc(context: TestContext, values: Readonly<Record<string, number>>): string {
  const root = temporaryFolder(context);
  mkdirSync(join(root, '7'));
  const lines = Object.entries(values).map(([key, mb]) => `${key}:\t${mb * 1024} kB`);
  writeFileSync(join(root, '7', 'status'), `Name:\tnode\n${lines.join('\n')}\n`);
  writeFileSync(join(root, '7', 'clear_refs'), '');
  return root;
}
