/** `mafat doctor`: looks at the board, the configuration and the broker, and says what to do next. */
import { existsSync, lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { Command } from 'commander';
import type { Config } from '../config/config-schema.js';
import { DEFAULT_CONFIG, loadConfig } from '../config/load-config.js';
import type { Finding } from '../doctor/check.js';
import { bad, fine, messageOf } from '../doctor/check.js';
import { examine } from '../doctor/doctor.js';
import { defaultModelsFolder } from '../models/model-store.js';
import { printJson, printLine } from './print.js';
import { startProgress } from './progress.js';

interface DoctorFlags {
  readonly config?: string;
  readonly json?: boolean;
}

/** Where the unit has its configuration and its state. */
const SERVICE = { config: '/etc/mafat/agent.yaml', state: '/var/lib/mafat' } as const;

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('look at the board, the configuration and the broker, and say what to do next')
    .option('--config <file>', `configuration in YAML (default: ${SERVICE.config} if it is there)`)
    .option('--json', 'print as JSON')
    .action(async ({ config: file = serviceConfig(), json = false }: DoctorFlags) => {
      const { config, finding } = await readConfig(file);
      const progress = startProgress('looking');
      const modelsFolder = modelsFolderOf(process.env);
      const surroundings = {
        root: '/',
        env: process.env,
        config: config ?? DEFAULT_CONFIG,
        modelsFolder,
        stateFolder: dirname(modelsFolder),
      };
      const findings = await examine(surroundings, {
        hasConfig: config !== undefined,
        onCheck: (name) => progress.show(`looking at ${name}`),
      });
      progress.stop();
      report([finding, ...findings], json);
    });
}

function serviceConfig(): string | undefined {
  return existsSync(SERVICE.config) ? SERVICE.config : undefined;
}

/** The service's folder counts where a person runs the doctor on a board with the service. */
function modelsFolderOf(env: NodeJS.ProcessEnv): string {
  const isNamed = env.MAFAT_MODELS !== undefined || env.STATE_DIRECTORY !== undefined;
  // A link into a folder that root alone may enter.
  const hasService = lstatSync(SERVICE.state, { throwIfNoEntry: false }) !== undefined;
  return defaultModelsFolder(isNamed || !hasService ? env : { STATE_DIRECTORY: SERVICE.state });
}

interface ReadConfig {
  readonly config: Config | undefined;
  readonly finding: Finding;
}

async function readConfig(file: string | undefined): Promise<ReadConfig> {
  const check = 'configuration';
  if (file === undefined)
    return { config: DEFAULT_CONFIG, finding: { check, ...fine('no file: every key has its default') } };
  try {
    return { config: await loadConfig(file), finding: { check, ...fine(`${file} is valid`) } };
  } catch (error) {
    const finding = {
      check,
      ...bad(messageOf(error), 'correct these lines; config/agent.yaml explains each key'),
    };
    return { config: undefined, finding };
  }
}

function report(findings: readonly Finding[], json: boolean): void {
  const hasError = findings.some(({ verdict }) => verdict === 'error');
  if (json) printJson({ ok: !hasError, findings });
  else printLine(describeFindings(findings));
  process.exitCode = hasError ? 1 : 0;
  // A device that hangs would keep the process.
  process.stdout.write('', () => process.exit());
}

/** A table of verdict, check and text; the next step stands below its line. */
export function describeFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const indent = ' '.repeat('warning'.length + 2 + width + 2);
  return findings
    .map(({ check, verdict, text, next }) => {
      const lines = [...text.split('\n'), ...(next === undefined ? [] : [`next: ${next}`])];
      return `${verdict.padEnd('warning'.length)}  ${check.padEnd(width)}  ${lines.join(`\n${indent}`)}`;
    })
    .join('\n');
}
