#!/usr/bin/env -S MALLOC_ARENA_MAX=1 node --max-semi-space-size=1
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
/**
 * Arguments and exit codes; the work is in agent/cli. A small young generation and one malloc arena keep the agent
 * small (docs/footprint.md).
 */
import { BudgetError } from '../shared/search/index.js';
import { UsageError } from './cli/usage-error.js';

/** Exit codes of docs/cli.md; 4 is set by `run --verify`. */
const EXIT = { failed: 1, usage: 2, budget: 3 } as const;

function versionOf(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Each command loads its own modules: the agent needs few of them, and would hold all for as long as it runs. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  model: async () => (await import('./cli/model-command.js')).modelCommand(),
  plan: async () => (await import('./cli/plan-command.js')).planCommand(),
  run: async () => (await import('./cli/run-command.js')).runCommand(),
  calibrate: async () => (await import('./cli/calibrate-command.js')).calibrateCommand(),
  agent: async () => (await import('./cli/agent-command.js')).agentCommand(versionOf()),
  infer: async () => (await import('./cli/infer-command.js')).inferCommand(),
  status: async () => (await import('./cli/status-command.js')).statusCommand(),
};

/** The program with the command that the arguments name, or with all of them, for its help and its errors. */
async function buildProgram([name = '']: readonly string[]): Promise<Command> {
  const program = new Command('mafat')
    .description('Runs convolutional networks inside the memory a board can spare.')
    .version(versionOf());
  const all = Object.entries(COMMANDS);
  const named = all.filter(([known]) => known === name);
  for (const [, load] of named.length > 0 ? named : all) program.addCommand(await load());
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
  const program = await buildProgram(process.argv.slice(2));
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`mafat: ${message}\n`);
    if (process.env.MAFAT_DEBUG !== undefined && error instanceof Error)
      process.stderr.write(`${error.stack}\n`);
  }
  process.exitCode ??= exitCodeOf(error);
}
