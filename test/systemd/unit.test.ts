/** systemd's own opinion of the unit and its drop-ins. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { project, temporaryFolder } from '../fixtures.js';

const NAME = 'mafat-agent.service';
const DROP_INS = join(project, 'systemd/drop-ins');

/** Highest exposure that `systemd-analyze security` may give, of 10. */
const MOST_EXPOSURE = 1.6;

/** Drop-ins for a newer systemd than the oldest that is supported, with its version. */
const NEEDS: Readonly<Record<string, number>> = { 'back-off.conf': 254 };

const version = Number(/^systemd (\d+)/.exec(run('--version').output)?.[1] ?? 0);
const skip = version === 0 ? 'systemd-analyze is not installed' : false;

interface ToolRun {
  readonly code: number | null;
  readonly output: string;
}

function run(...args: readonly string[]): ToolRun {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  return { code: status, output: `${stdout ?? ''}${stderr ?? ''}` };
}

/** A copy of the unit with one drop-in or none, whose programs are those of this machine. */
function install(context: TestContext, dropIn?: string): string {
  const folder = temporaryFolder(context);
  const unit = join(folder, NAME);
  const text = readFileSync(join(project, 'systemd', NAME), 'utf8');
  writeFileSync(unit, text.replace('/usr/bin/node', process.execPath));
  if (dropIn === undefined) return unit;
  mkdirSync(`${unit}.d`);
  writeFileSync(join(`${unit}.d`, dropIn), readFileSync(join(DROP_INS, dropIn)));
  return unit;
}

for (const dropIn of [undefined, ...readdirSync(DROP_INS)]) {
  const needed = NEEDS[dropIn ?? ''] ?? 0;
  const why = skip || (version < needed ? `systemd is ${version}, it needs ${needed}` : false);
  test(`the unit with ${dropIn ?? 'no drop-in'} is known to systemd, word for word, and closed off`, {
    skip: why,
  }, (context) => {
    const unit = install(context, dropIn);
    assert.deepEqual(run('verify', unit), { code: 0, output: '' });
    const { output } = run('security', '--offline=true', '--no-pager', unit);
    const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(output)?.[1]);
    assert.ok(exposure <= MOST_EXPOSURE, `exposure ${exposure}`);
  });
}
