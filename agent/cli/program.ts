/** Arguments and exit codes of `mafat`; each command has a file of its own. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { BudgetError } from '../../shared/search/index.js';
import { UsageError } from './usage-error.js';

/** Exit codes of docs/cli.md; 4 is set by `run --verify`. */
const EXIT = { failed: 1, usage: 2, budget: 3 } as const;

function versionOf(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Each command loads its own modules: the agent needs few of them, and would hold all for as long as it runs. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  model: async () => (await import('./model-command.js')).modelCommand(),
  plan: async () => (await import('./plan-command.js')).planCommand(),
  run: async () => (await import('./run-command.js')).runCommand(),
  calibrate: async () => (await import('./calibrate-command.js')).calibrateCommand(),
  agent: async () => (await import('./agent-command.js')).agentCommand(versionOf()),
  infer: async () => (await import('./infer-command.js')).inferCommand(),
  status: async () => (await import('./status-command.js')).statusCommand(),
  doctor: async () => (await import('./doctor-command.js')).doctorCommand(),
};

/** @param argv as Node.js has it: program, script, arguments. Sets the process's exit code. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  // A reader that has seen enough (`mafat ... | head`) is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  try {
    const program = await buildProgram(argv.slice(2));
    await program.parseAsync(argv);
  } catch (error) {
    report(error);
    process.exitCode ??= exitCodeOf(error);
  }
}

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

/** Commander has printed its own errors. */
function report(error: unknown): void {
  if (error instanceof CommanderError) return;
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`mafat: ${message}\n`);
  if (process.env.MAFAT_DEBUG !== undefined && error instanceof Error)
    process.stderr.write(`${error.stack}\n`);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
  if (error instanceof UsageError) return EXIT.usage;
  return error instanceof BudgetError ? EXIT.budget : EXIT.failed;
}
