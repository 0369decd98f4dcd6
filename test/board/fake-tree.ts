/** Trees of /proc and /sys as systems have them; sizes in MiB. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryFolder } from '../fixtures.js';

export const MB = 2 ** 20;

/** Writes files by path; returns the root. */
export function fakeTree(context: TestContext, files: Readonly<Record<string, string>>): string {
  const root = temporaryFolder(context);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

export function meminfo(totalMb: number, availableMb: number): string {
  return [
    `MemTotal:       ${totalMb * 1024} kB`,
    `MemFree:          1234 kB`,
    `MemAvailable:   ${availableMb * 1024} kB`,
    `SwapTotal:      ${100 * 1024} kB`,
    `SwapFree:       ${90 * 1024} kB`,
    'HugePages_Total:       0',
    '',
  ].join('\n');
}

export interface FakeGroup {
  readonly max?: number;
  readonly high?: number;
  readonly current: number;
  /** File pages: inactive, active. */
  readonly file?: readonly [number, number];
}

/** Files of a v2 group at `folder`. */
export function groupV2(folder: string, { max, high, current, file }: FakeGroup): Record<string, string> {
  const limit = (mb: number | undefined) => (mb === undefined ? 'max\n' : `${mb * MB}\n`);
  return {
    [`${folder}/memory.max`]: limit(max),
    [`${folder}/memory.high`]: limit(high),
    [`${folder}/memory.current`]: `${current * MB}\n`,
    ...(file === undefined
      ? {}
      : {
          [`${folder}/memory.stat`]: `anon 4096\nfile 8192\ninactive_file ${file[0] * MB}\nactive_file ${file[1] * MB}\nunevictable 0\n`,
        }),
  };
}

/** "Unlimited" of v1 on 64 bits and pages of 4 KiB. */
const UNLIMITED_V1 = '9223372036854771712';

/** Files of a v1 group at `folder`. */
export function groupV1(folder: string, { max, current, file = [0, 0] }: FakeGroup): Record<string, string> {
  return {
    [`${folder}/memory.limit_in_bytes`]: `${max === undefined ? UNLIMITED_V1 : max * MB}\n`,
    [`${folder}/memory.usage_in_bytes`]: `${current * MB}\n`,
    [`${folder}/memory.stat`]: `inactive_file 1\nactive_file 1\ntotal_inactive_file ${file[0] * MB}\ntotal_active_file ${file[1] * MB}\n`,
  };
}
