import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { PressureSignal } from '../../agent/board/pressure-signal.js';
import { temporaryFolder } from '../fixtures.js';

const SETTINGS = Buffer.from('some 100000 1000000\0');

test('PressureSignal calls back for each write into a FIFO, after writers have gone, too', async (context) => {
  const path = join(temporaryFolder(context), 'fifo');
  execFileSync('mkfifo', [path]);
  const signal = listen(context, { MEMORY_PRESSURE_WATCH: path });
  for (let turn = 0; turn < 3; turn += 1) {
    writeFileSync(path, 'x');
    await signal.next();
  }
});

test('PressureSignal writes the settings into a socket first, and calls back for its data', async (context) => {
  const path = join(temporaryFolder(context), 'socket');
  const server = createServer().listen(path);
  context.after(() => server.close());
  await once(server, 'listening');
  const signal = listen(context, {
    MEMORY_PRESSURE_WATCH: path,
    MEMORY_PRESSURE_WRITE: SETTINGS.toString('base64'),
  });
  const [peer] = (await once(server, 'connection')) as [Socket];
  const [written] = (await once(peer, 'data')) as [Buffer];
  assert.deepEqual(written, SETTINGS);
  peer.write('pressure');
  await signal.next();
  peer.destroy();
});

test('PressureSignal listens to nothing for a pressure file, /dev/null, an absent file, or no variable', (context) => {
  const file = join(temporaryFolder(context), 'memory.pressure');
  writeFileSync(file, 'some avg10=0.00\n');
  for (const path of [file, '/dev/null', '/nonexistent', undefined]) {
    const signal = new PressureSignal(() => undefined, { MEMORY_PRESSURE_WATCH: path });
    const before = process.getActiveResourcesInfo().length;
    signal.start();
    assert.equal(process.getActiveResourcesInfo().length, before, path);
    signal.stop();
    signal.stop();
  }
});

/** A started signal, and its next call. */
function listen(context: TestContext, environment: NodeJS.ProcessEnv): { next(): Promise<void> } {
  let wake: () => void = () => undefined;
  const signal = new PressureSignal(() => wake(), environment);
  signal.start();
  context.after(() => signal.stop());
  return {
    next: () =>
      new Promise((resolve, reject) => {
        // The signal keeps no process alive; this does.
        const timer = setTimeout(() => reject(new Error('no signal came')), 30_000);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      }),
  };
}
