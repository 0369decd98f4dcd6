/**
 * Measures what watching the board's memory costs: one sample, and a watch at its shortest interval.
 *
 *     node dist/bench/memory-watch.js [--seconds 20]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BudgetWatch } from '../agent/board/budget-watch.js';
import { MemorySource } from '../agent/board/read-memory.js';
import { parseCount } from '../agent/cli/parse-options.js';
import { printLine } from '../agent/cli/print.js';
import { median } from '../shared/predict/index.js';
import { benchCommand, optionOf } from './bench-options.js';
import { runBench } from './run-bench.js';

const SAMPLES = 1000;
const ROUNDS = 9;
const INTERVAL_SECONDS = 0.1;

/** Microseconds of a call, the median of rounds. */
function timeCall(call: () => unknown): number {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const startMs = performance.now();
    for (let sample = 0; sample < SAMPLES; sample += 1) call();
    return ((performance.now() - startMs) / SAMPLES) * 1000;
  });
  return median(rounds);
}

/** Share of a core that this process takes while it watches, in percent. */
async function watchFor(seconds: number): Promise<number> {
  const watch = new BudgetWatch(
    { budget: 'auto', floor: 0.12, minInterval: INTERVAL_SECONDS, maxInterval: INTERVAL_SECONDS },
    {
      executor: () => ({ residentBytes: 0, idleBytes: 0 }),
      onBudget: () => undefined,
      onError: (error) => {
        throw error;
      },
    },
  );
  watch.start();
  const before = process.cpuUsage();
  await sleep(seconds * 1000);
  const { user, system } = process.cpuUsage(before);
  watch.stop();
  return (user + system) / seconds / 1e4;
}

await runBench(async () => {
  const command = benchCommand('memory-watch', "Measures what watching the board's memory costs.");
  command.addOption(optionOf('--seconds <number>', 'time to watch', { parse: parseCount, fallback: '20' }));
  const { seconds } = command.parse().opts<{ seconds: number }>();
  const source = new MemorySource();
  printLine(`one sample: ${timeCall(() => source.read()).toFixed(1)} us`);
  source.close();
  printLine(
    `a sample each ${INTERVAL_SECONDS * 1000} ms: ${(await watchFor(seconds)).toFixed(2)} % of a core`,
  );
});
