#!/usr/bin/env -S node --max-semi-space-size=1
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
/**
 * Arguments and exit codes; the work is in agent/cli. With a small young generation the agent keeps 66 MB, not 113
 * (Yolo-Fastest, 10 frames a second).
 */
import { BudgetError } from '../shared/search/index.js';
import { agentCommand } from './cli/agent-command.js';
import { calibrateCommand } from './cli/calibrate-command.js';
import { inferCommand } from './cli/infer-command.js';
import { modelCommand } from './cli/model-command.js';
import { planCommand } from './cli/plan-command.js';
import { runCommand } from './cli/run-command.js';
import { statusCommand } from './cli/status-command.js';
import { UsageError } from './cli/usage-error.js';

/** Exit codes of docs/cli.md; 4 is set by `run --verify`. */
const EXIT = { failed: 1, usage: 2, budget: 3 } as const;

function versionOf(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function buildProgram(): Command {
  const program = new Command('mafat')
    .description('Runs convolutional networks inside the memory a board can spare.')
    .version(versionOf())
    .addCommand(modelCommand())
    .addCommand(planCommand())
    .addCommand(runCommand())
    .addCommand(calibrateCommand())
    .addCommand(agentCommand(versionOf()))
    .addCommand(inferCommand())
    .addCommand(statusCommand());
  applyToAll(program, (command) => command.exitOverride());
  return program;
}

function applyToAll(command: Command, apply: (command: Command) => void): void {
  apply(command);
  for (const child of command.commands) applyToAll(child, apply);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
  if (error instanceof UsageError) return EXIT.usage;
  return error instanceof BudgetError ? EXIT.budget : EXIT.failed;
}

// A reader that has seen enough (`mafat ... | head`) is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

try {
  await buildProgram().parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`mafat: ${message}\n`);
    if (process.env.MAFAT_DEBUG !== undefined && error instanceof Error)
      process.stderr.write(`${error.stack}\n`);
  }
  process.exitCode ??= exitCodeOf(error);
}
