/** All checks in order, each bounded in time. Checks of one group build on its first one. */
import { BROKER_CHECKS } from './broker-checks.js';
import { CAMERA_CHECKS } from './camera-checks.js';
import type { Check, Finding, Surroundings } from './check.js';
import { runCheck } from './check.js';
import { CLOCK_CHECKS } from './clock-checks.js';
import { DISK_CHECKS } from './disk-checks.js';
import { MEMORY_CHECKS } from './memory-checks.js';
import { modelChecks } from './model-checks.js';
import { RUNTIME_CHECKS } from './runtime-checks.js';
import { UNIT_CHECKS } from './unit-checks.js';

export interface ExamineOptions {
  /** Whether the configuration can be used; without one only the board is looked at. */
  readonly hasConfig: boolean;
  /** Called before each check with its name. */
  readonly onCheck: (name: string) => void;
}

export async function examine(
  surroundings: Surroundings,
  { hasConfig, onCheck }: ExamineOptions,
): Promise<readonly Finding[]> {
  const board = [RUNTIME_CHECKS, MEMORY_CHECKS, DISK_CHECKS, CLOCK_CHECKS, UNIT_CHECKS].flat();
  const configured = [...modelChecks(surroundings), ...CAMERA_CHECKS];
  const findings: Finding[] = [];
  for (const check of [...board, ...(hasConfig ? configured : [])]) {
    onCheck(check.name);
    findings.push(...(await runCheck(check, surroundings)));
  }
  return hasConfig ? [...findings, ...(await examineBroker(surroundings, onCheck))] : findings;
}

async function examineBroker(
  surroundings: Surroundings,
  onCheck: (name: string) => void,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const check of BROKER_CHECKS) {
    onCheck(check.name);
    findings.push(...(await runCheck(check, surroundings)));
    // A broker that can't be reached has no limits to look at.
    if (findings[0]?.verdict !== 'ok') break;
  }
  return findings;
}

export type { Check, Finding, Surroundings };
