#!/usr/bin/env -S MALLOC_ARENA_MAX=1 node --max-semi-space-size=1
/**
 * The entry. The daemon's signals are caught before anything else is loaded; the program is in agent/cli. A small young
 * generation and one malloc arena keep the agent small (docs/footprint.md).
 */
import { daemonSignals } from './early-signals.js';

// Other commands end by signals as programs do.
if (process.argv[2] === 'agent') daemonSignals.catchAll();

const { runProgram } = await import('./cli/program.js');
await runProgram(process.argv);
