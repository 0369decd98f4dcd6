/** Boards as the doctor may find them. */
import type { TestContext } from 'node:test';
import { parseConfig } from '../../agent/config/load-config.js';
import type { Surroundings } from '../../agent/doctor/check.js';
import { fakeTree } from '../board/fake-tree.js';

/** A board with these files, and the configuration's defaults. */
export function surroundingsOf(
  context: TestContext,
  files: Readonly<Record<string, string>>,
  { yaml = '', env = {} }: { readonly yaml?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Surroundings {
  const root = fakeTree(context, files);
  return {
    root,
    env: { PATH: '/nonexistent', ...env },
    config: parseConfig(yaml, 'test'),
    modelsFolder: `${root}/models`,
    stateFolder: root,
  };
}
