/** The clock: events carry its time, and TLS refuses certificates at a wrong one. Boards without a battery start in 1970. */
import { join } from 'node:path';
import { readText } from '../board/read-text.js';
import type { Check, Result, Surroundings } from './check.js';
import { bad, fine, poor } from './check.js';
import { runTool } from './run-tool.js';

/** Year of this version: no right clock shows less. */
const LEAST_YEAR = 2026;

/** File that systemd-timesyncd makes once the clock was set. */
const SYNCHRONIZED = 'run/systemd/timesync/synchronized';

export const CLOCK_CHECKS: readonly Check[] = [
  { name: 'clock', run: (surroundings, signal) => checkClock(surroundings, { signal, now: new Date() }) },
];

export async function checkClock(
  { root, env }: Pick<Surroundings, 'root' | 'env'>,
  { signal, now }: { readonly signal: AbortSignal; readonly now: Date },
): Promise<readonly Result[]> {
  const text = `${now.toISOString().slice(0, 19)}Z`;
  if (now.getUTCFullYear() < LEAST_YEAR)
    return [bad(`${text} is in the past`, 'set the clock, or let systemd-timesyncd or chrony set it')];
  if (readText(join(root, SYNCHRONIZED)) !== undefined) return [fine(`${text}, synchronised`)];
  // It reads the kernel's flag, which chrony and ntpd set, too.
  const flag = await runTool(['timedatectl', 'show', '--property=NTPSynchronized', '--value'], {
    env,
    signal,
  });
  if (flag === 'yes') return [fine(`${text}, synchronised`)];
  if (flag === 'no')
    return [poor(`${text}, not synchronised`, 'timedatectl set-ntp true; without a network set it by hand')];
  return [fine(`${text}; nothing here tells whether it is synchronised`)];
}
