/** The systemd unit: installed, enabled and running, and the one that this version ships. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readText } from '../board/read-text.js';
import type { Check, Result, Surroundings } from './check.js';
import { fine, poor } from './check.js';
import { runTool } from './run-tool.js';

export const UNIT = 'mafat-agent.service';

/** Where systemd looks for units, first match first. Source: man systemd.unit. */
const FOLDERS = [
  'etc/systemd/system',
  'usr/local/lib/systemd/system',
  'usr/lib/systemd/system',
  'lib/systemd/system',
] as const;

const SHIPPED = fileURLToPath(new URL(`../../../systemd/${UNIT}`, import.meta.url));

export const UNIT_CHECKS: readonly Check[] = [{ name: 'unit', run: checkUnit }];

export async function checkUnit(
  { root, env }: Pick<Surroundings, 'root' | 'env'>,
  signal: AbortSignal,
): Promise<readonly Result[]> {
  const installed = FOLDERS.map((folder) => join(root, folder, UNIT)).find(
    (path) => readText(path) !== undefined,
  );
  if (installed === undefined)
    return [
      poor(
        `${UNIT} is not installed: nothing restarts the agent`,
        `install systemd/${UNIT} (README, "As a service")`,
      ),
    ];
  return [await compare(installed), ...(await checkState({ root, env }, signal))];
}

async function compare(installed: string): Promise<Result> {
  const isSame = (await readFile(installed, 'utf8')) === (await readFile(SHIPPED, 'utf8'));
  return isSame
    ? fine(`${installed} is that of this version`)
    : poor(
        `${installed} differs from the one of this version`,
        `compare it with ${SHIPPED}; keep changes of your own in ${UNIT}.d/`,
      );
}

/** None where systemd doesn't run. */
async function checkState(
  { root, env }: Pick<Surroundings, 'root' | 'env'>,
  signal: AbortSignal,
): Promise<readonly Result[]> {
  if (readText(join(root, 'proc/1/comm'))?.trim() !== 'systemd') return [];
  const properties = 'UnitFileState,ActiveState,SubState,NRestarts,Result';
  const shown = await runTool(['systemctl', 'show', UNIT, `--property=${properties}`], { env, signal });
  const state = new Map((shown ?? '').split('\n').map((line) => line.split('=', 2) as [string, string]));
  const [enabled = '', active = ''] = [state.get('UnitFileState'), state.get('ActiveState')];
  return [
    enabled === 'enabled'
      ? fine('enabled')
      : poor(`not enabled (${enabled || 'unknown'})`, `systemctl enable --now ${UNIT}`),
    active === 'active'
      ? fine(`active (${state.get('SubState')}), restarted ${state.get('NRestarts')} times`)
      : poor(`${active || 'unknown'}, last result ${state.get('Result')}`, `journalctl -u ${UNIT} says why`),
  ];
}
