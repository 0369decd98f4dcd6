/**
 * Predicted against measured working memory, over plans of three networks with synthetic weights.
 *
 *     node dist/bench/predictor.js [--json FILE]
 *
 * Each plan runs in an executor of its own, three times over one 1280x720 image.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withContext } from '../agent/cli/context.js';
import { formatBytes, formatTable, median, printLine } from '../agent/cli/print.js';
import { DEFINITIONS } from '../agent/models/definitions.js';
import { synthesizeDarknet } from '../agent/models/import-darknet.js';
import { ModelStore } from '../agent/models/model-store.js';
import type { Network } from '../agent/open-model.js';
import { openModel, planNetwork } from '../agent/open-model.js';
import { runNetwork } from '../agent/run-network.js';
import { drawImage } from './draw-image.js';

const SETTINGS = { threads: 2, level: 'extended', strategy: 'mafat', weights: 'resident' } as const;

const SWEEP = [
  {
    definition: 'yolov2',
    layers: { from: 0, to: 15 },
    size: 608,
    plans: [
      'whole',
      '2x2',
      '3x3',
      '5x5',
      '3x3 | 8 | 2x2',
      '5x5 | 8 | 2x2',
      '3x3 | 12 | 2x2',
      '4x4 | 4 | 3x3',
      '1x4 | 8 | 2x1',
      '4x4 | 2 | 4x4 | 4 | 4x4 | 8 | 2x2',
      '5x5 | 1 | 5x5 | 2 | 5x5 | 3 | 5x5',
      'stream1',
      'stream4',
      'stream16',
      '1x2:stream4',
      '1x2:stream1',
      '1x2:stream1 | 12 | whole',
      '2x2:stream2 | 8 | stream4',
      'stream4 > 8 > stream4',
      'stream8 > 4 > stream8 > 8 > stream4 > 12 > stream4',
      'stream16 > 2 > stream16 > 4 > stream8 > 8 > stream8 | 12 | whole',
      'stream1 | 12 | whole | 14 | whole',
      'stream8 | 8 | stream16 | 12 | whole | 14 | whole',
    ],
  },
  {
    definition: 'yolov2',
    size: 416,
    plans: [
      'whole',
      '2x2',
      '3x3 | 8 | 2x2',
      '4x4 | 12 | whole',
      'stream4 | 17 | whole',
      'stream2 > 8 > stream2 | 17 | whole',
    ],
  },
  {
    definition: 'yolov2-tiny',
    size: 416,
    plans: [
      'whole',
      '2x2',
      '3x3 | 6 | 2x2',
      '4x4 | 4 | 2x2',
      '5x5 | 8 | whole',
      'stream1 | 10 | whole',
      'stream4 > 4 > stream2 | 10 | whole',
    ],
  },
] as const;

interface Row {
  readonly network: string;
  readonly plan: string;
  readonly predictedBytes: number;
  readonly measuredBytes: number;
}

async function sweep(folder: string): Promise<readonly Row[]> {
  return withContext('sweeping', async (context) => {
    const store = new ModelStore(join(folder, 'models'));
    const image = await drawImage(join(folder, 'shapes.png'));
    const rows: Row[] = [];
    for (const { definition, size, plans, ...rest } of SWEEP) {
      const name = `${definition}-${size}`;
      const options = {
        store,
        executor: context.executor,
        name,
        force: true,
        size: { width: size, height: size },
      };
      await synthesizeDarknet(
        { name: definition, text: DEFINITIONS.get(definition) ?? '' },
        { seed: 1, ...rest },
        options,
      );
      const network = await openModel(store, name, context);
      for (const notation of plans) {
        context.progress.show(`${name}: ${notation}`);
        rows.push({ network: name, ...(await measurePlan(network, { notation, image })) });
      }
    }
    return rows;
  });
}

async function measurePlan(
  network: Network,
  { notation, image }: { notation: string; image: string },
): Promise<Omit<Row, 'network'>> {
  const plan = planNetwork(network, { ...SETTINGS, notation, budgetBytes: Number.POSITIVE_INFINITY });
  const { measured } = await runNetwork(network, plan, {
    ...SETTINGS,
    images: [image],
    repeat: 3,
    verify: false,
  });
  return {
    plan: plan.notation,
    predictedBytes: plan.predicted.workingBytes,
    measuredBytes: measured.workingBytes,
  };
}

function printRows(rows: readonly Row[]): void {
  const cells = rows.map(({ network, plan, predictedBytes, measuredBytes }) => [
    network,
    plan,
    formatBytes(predictedBytes),
    formatBytes(measuredBytes),
    `${((predictedBytes / measuredBytes - 1) * 100).toFixed(0)} %`,
  ]);
  printLine(formatTable(['network', 'plan', 'predicted', 'measured', 'error'], cells));
  const errors = rows.map(({ predictedBytes, measuredBytes }) => Math.abs(predictedBytes - measuredBytes));
  const under = rows.map(({ predictedBytes, measuredBytes }) => measuredBytes - predictedBytes);
  printLine();
  printLine(
    `median error ${formatBytes(median(errors))}, largest shortfall ${formatBytes(Math.max(0, ...under))}`,
  );
}

const folder = await mkdtemp(join(tmpdir(), 'mafat-bench-'));
try {
  const rows = await sweep(folder);
  printRows(rows);
  const file = process.argv[process.argv.indexOf('--json') + 1];
  if (process.argv.includes('--json') && file !== undefined)
    await writeFile(file, JSON.stringify(rows, null, 2));
} finally {
  await rm(folder, { recursive: true, force: true });
}
