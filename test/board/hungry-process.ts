/**
 * A child for tests: first says under which score and in which groups it runs, then fills as many megabytes as it is
 * sent, and answers.
 */
import { readFileSync } from 'node:fs';

const held: Buffer[] = [];
const score = readFileSync('/proc/self/oom_score_adj', 'utf8').trim();
process.send?.({ score, groups: readFileSync('/proc/self/cgroup', 'utf8'), flags: process.execArgv });
process.on('message', (megabytes: number) => {
  held.push(Buffer.alloc(megabytes * 2 ** 20, 1));
  process.send?.(new Uint8Array([megabytes]));
});
process.on('disconnect', () => process.exit(0));
