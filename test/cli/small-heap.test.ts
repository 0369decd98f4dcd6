import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const MODULE = new URL('../../agent/cli/small-heap.js', import.meta.url).href;

/** Drops 32 MB outside the heap, and prints what of it is left after two looks. */
const SCRIPT = `
import { setTimeout as sleep } from 'node:timers/promises';
const { keepHeapSmall } = await import(process.argv[1]);
keepHeapSmall();
for (let at = 0; at < 32; at += 1) new Uint8Array(2 ** 20).fill(1);
await sleep(2500);
process.stdout.write(String(process.memoryUsage().arrayBuffers));
`;

test('keepHeapSmall() has bytes outside the heap collected, and lets the process end', () => {
  const args = ['--input-type=module', '-e', SCRIPT, MODULE];
  const left = Number(execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 }));
  assert.ok(left < 4 * 2 ** 20, `${left} bytes are left`);
});
