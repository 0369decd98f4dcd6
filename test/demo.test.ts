/** Tests what `./install.sh --demo` shows. The tests' project doesn't include demo/, so they load the built files. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from './fixtures.js';

const DEMO = new URL('../demo/', import.meta.url);

type State = object;

interface DemoModules {
  beginDemo(untiled: object): State;
  takeInfo(state: State, info: object): State;
  takeEvent(state: State, event: object): State;
  takeHealth(state: State, health: object): State;
  describeDemo(state: State): readonly string[];
  describeEnd(state: State): string;
  redraw(lines: readonly string[], screen: { drawn: number; columns: number }): string;
}

async function loadDemo(): Promise<DemoModules> {
  const files = ['state.js', 'text.js', 'view.js'];
  const modules = await Promise.all(files.map((file) => import(new URL(file, DEMO).href)));
  return Object.assign({}, ...modules) as DemoModules;
}

const MB = 2 ** 20;
const memory = (workingBytes: number) => ({
  workingBytes: workingBytes * MB,
  weightsBytes: 10 * MB,
  peakBytes: (workingBytes + 10) * MB,
});
const info = (notation: string, working: number) => ({
  models: [{ plan: { notation, predicted: memory(working) } }],
});
const health = (budget: number, privateBytes: number, peak: number) => ({
  budget: { bytes: budget * MB, bound: 'config' },
  executor: { privateBytes: privateBytes * MB, idleBytes: 50 * MB },
  models: [{ memory: { measuredBytes: peak * MB } }],
  cameras: [{ processed: 4, replaced: 1, skipped: 0, still: 0, failed: 0 }],
});

test('describeDemo() shows each plan with what was predicted and seen of it when the plan has changed', async () => {
  const { beginDemo, takeInfo, takeEvent, takeHealth, describeDemo, describeEnd } = await loadDemo();
  let state = takeInfo(beginDemo(memory(67)), info('3x3', 19));
  for (const latencyMs of [100, 300, 200]) state = takeEvent(state, { plan: '3x3', latencyMs });
  state = takeHealth(state, health(40, 60, 18));
  state = takeInfo({ ...state, elapsedSeconds: 10.2 }, info('5x5', 15));
  // A frame of the former plan was still running.
  state = takeHealth(state, health(28, 67.5, 18));
  state = takeEvent(state, { plan: '3x3', latencyMs: 200 });
  state = takeEvent(state, { plan: '5x5', latencyMs: 400 });
  state = takeHealth({ ...state, elapsedSeconds: 12 }, health(28, 62, 14));
  assert.deepEqual(describeDemo(state), [
    'after      12 s',
    'budget     28.0 MB (config)',
    'executor   12.0 MB private memory above idle',
    'frames     4 processed, 1 replaced by a later one, 0 skipped, 0 failed',
    '',
    'plan, the last in force  predicted + weights  measured  latency  frames',
    'untiled                    67.0 MB + 10.0 MB         -        -       -',
    '3x3                        19.0 MB + 10.0 MB   18.0 MB   200 ms       4',
    '5x5                        15.0 MB + 10.0 MB   14.0 MB   400 ms       1',
    '',
    'plan changed at 10 s: 3x3 -> 5x5',
  ]);
  assert.match(describeEnd(state), /5 frames in 12 s.* frames continued .*: 4 before, 1 after/);
});

test('describeDemo() has as many lines before anything is known as later', async () => {
  const { beginDemo, takeInfo, describeDemo, describeEnd } = await loadDemo();
  const empty = beginDemo(memory(67));
  assert.equal(describeDemo(empty).length + 1, describeDemo(takeInfo(empty, info('3x3', 19))).length);
  assert.match(describeEnd(empty), /0 frames .* the plan did not change/);
});

test('redraw() goes up over what was drawn and cuts lines to the terminal', async () => {
  const { redraw } = await loadDemo();
  assert.equal(redraw(['abcdef', 'x'], { drawn: 0, columns: 4 }), '\r\x1b[2Kabcd\n\x1b[2Kx\n\x1b[J');
  assert.ok(redraw(['x'], { drawn: 3, columns: 4 }).startsWith('\r\x1b[3A'));
});

test('the demo reports a change of plan in plain lines when its output is piped, and leaves nothing behind', (context) => {
  const folder = temporaryFolder(context);
  const demo = fileURLToPath(new URL('main.js', DEMO));
  const { status, stdout, stderr } = spawnSync(process.execPath, [demo, '--seconds', '24'], {
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: folder },
    timeout: 120_000,
  });
  assert.equal(status, 0, stdout + stderr);
  assert.ok(!stdout.includes('\x1b'));
  assert.match(stdout, /^plan changed at \d+ s: \S.* -> \S/m);
  assert.match(stdout, /frames continued as the plan changed: \d+ before, \d+ after/);
  assert.deepEqual(readdirSync(folder), []);
  assert.deepEqual(processesOf(folder), []);
});

/** Ids of the processes whose environment names a folder. The demo's descendants are among them. */
function processesOf(folder: string): readonly string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => {
    try {
      return readFileSync(join('/proc', pid, 'environ'), 'utf8').includes(folder);
    } catch {
      // The process has just ended or belongs to another user.
      return false;
    }
  });
}
