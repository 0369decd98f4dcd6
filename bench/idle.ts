/**
 * Measures the private memory of an executor before it has loaded a model.
 *
 *     node dist/bench/idle.js [--starts 10]
 *
 * Each start is a new process. The figure is RssAnon after ONNX Runtime has run a model of one node
 * and unused pages have gone.
 */

import { measureIdle } from '../agent/board/process-memory.js';
import { parseCount } from '../agent/cli/parse-options.js';
import { formatBytes, printLine } from '../agent/cli/print.js';
import { startExecutor } from '../agent/engine/executor-client.js';
import { median } from '../shared/predict/index.js';
import { benchCommand, optionOf } from './bench-options.js';
import { runBench } from './run-bench.js';

await runBench(async () => {
  const command = benchCommand('idle', 'Measures the memory of an executor before it has loaded a model.');
  command.addOption(
    optionOf('--starts <number>', 'executors that are started in turn', {
      parse: parseCount,
      fallback: '10',
    }),
  );
  const { starts } = command.parse().opts<{ starts: number }>();
  const idle: number[] = [];
  for (let start = 0; start < starts; start += 1) {
    const executor = await startExecutor();
    idle.push(await measureIdle(executor.pid));
    await executor.stop();
  }
  const [least, most] = [Math.min(...idle), Math.max(...idle)];
  printLine(`idle: ${formatBytes(median(idle))} (${formatBytes(least)} to ${formatBytes(most)})`);
});
