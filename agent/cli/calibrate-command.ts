/** `mafat calibrate`: measures the costs of work on this device, and stores them. */

import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { WORK_KINDS } from '../../shared/predict/index.js';
import { readDevice, readMachine } from '../board/machine.js';
import type { Calibration } from '../planning/calibrate/calibrate.js';
import { calibrate } from '../planning/calibrate/calibrate.js';
import { defaultStorePath } from '../planning/device-profiles.js';
import { Store } from '../store/store.js';
import { withContext } from './context.js';
import { formatBytes, formatTable, printJson, printLine } from './print.js';

interface CalibrateFlags {
  readonly store?: string;
  readonly json?: boolean;
}

export function calibrateCommand(): Command {
  return new Command('calibrate')
    .description('measure the speed of this device, which the planner then uses')
    .option('--store <file>', 'database for the results (default: the agent’s)')
    .option('--json', 'print as JSON')
    .action(async ({ store: path = defaultStorePath(), json = false }: CalibrateFlags) => {
      // The store opens first, so that an error shows before a minute is spent.
      const store = openStore(path);
      try {
        const device = readDevice();
        const calibration = await withContext('calibrating', ({ progress, signal }) =>
          calibrate({
            threads: [...new Set([1, availableParallelism()])],
            hasBlocked: readMachine() !== undefined,
            onProgress: (done, all) => progress.show(`calibrating: ${done} of ${all}`),
            signal,
          }),
        );
        const measuredMs = Date.now();
        store.saveCosts(
          device,
          calibration.entries.map(({ kernels, threads, costs }) => ({
            kernels,
            threads,
            costs: JSON.stringify(costs),
            measuredMs,
          })),
        );
        if (json) printJson({ device, store: path, ...calibration });
        else printCalibration(calibration, { device, path });
      } finally {
        store.stop();
      }
    });
}

function openStore(path: string): Store {
  const store = new Store(path, {
    onError: (error) => {
      throw error;
    },
  });
  store.start();
  return store;
}

function printCalibration(
  { entries, idleBytes }: Calibration,
  { device, path }: { readonly device: string; readonly path: string },
): void {
  const header = ['cost, ns', ...entries.map(({ kernels, threads }) => `${kernels}, ${threads} thr.`)];
  const rows = WORK_KINDS.map((kind) => [kind, ...entries.map(({ costs }) => costs[kind].toPrecision(3))]);
  const fit = ['fit', ...entries.map(({ errorRatio }) => `${(errorRatio * 100).toFixed(0)} %`)];
  printLine(formatTable(header, [...rows, fit]));
  printLine();
  printLine(`idle executor ${formatBytes(idleBytes)}`);
  printLine(`stored for ${device} in ${path}; a running agent uses it from its next start`);
}
