/** `./install.sh --demo`: the first 16 layers of YOLOv2, untiled and within a budget, on generated images. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { withContext } from '../agent/cli/context.js';
import { formatBytes, formatMs, formatTable, median, printLine } from '../agent/cli/print.js';
import { DEFINITIONS } from '../agent/models/definitions.js';
import { synthesizeDarknet } from '../agent/models/import-darknet.js';
import { ModelStore } from '../agent/models/model-store.js';
import { openModel, planNetwork } from '../agent/open-model.js';
import type { NetworkRun } from '../agent/run-network.js';
import { runNetwork } from '../agent/run-network.js';
import type { Plan } from '../shared/index.js';
import { drawImage } from './draw-image.js';

const BUDGET_BYTES = 32 * 2 ** 20;
const REPEAT = 5;

const SETTINGS = {
  threads: availableParallelism(),
  level: 'extended',
  strategy: 'mafat',
  weights: 'resident',
} as const;

interface DemoRun {
  readonly plan: Plan;
  readonly run: NetworkRun;
}

async function runDemo(folder: string): Promise<{ untiled: DemoRun; tiled: DemoRun }> {
  return withContext('making YOLOv2 layers 0-15', async (context) => {
    const store = new ModelStore(join(folder, 'models'));
    const options = {
      store,
      executor: context.executor,
      name: 'yolov2',
      force: false,
      size: { width: 608, height: 608 },
    };
    const network = { name: 'yolov2', text: DEFINITIONS.get('yolov2') ?? '' };
    await synthesizeDarknet(network, { seed: 1, layers: { from: 0, to: 15 } }, options);
    const images = [await drawImage(join(folder, 'shapes.png'))];
    const opened = await openModel(store, 'yolov2', context);
    const runs: DemoRun[] = [];
    for (const budgetBytes of [Number.POSITIVE_INFINITY, BUDGET_BYTES]) {
      const plan = planNetwork(opened, { ...SETTINGS, budgetBytes });
      const verify = budgetBytes === BUDGET_BYTES;
      const run = await runNetwork(opened, plan, {
        ...SETTINGS,
        images,
        repeat: REPEAT,
        verify,
        onProgress: context.progress.show,
      });
      runs.push({ plan, run });
    }
    const [untiled, tiled] = runs;
    if (untiled === undefined || tiled === undefined) throw new Error('the demo did not run');
    return { untiled, tiled };
  });
}

function printReport({ untiled, tiled }: { untiled: DemoRun; tiled: DemoRun }): void {
  const row = (name: string, { plan, run }: DemoRun) => [
    name,
    plan.notation,
    formatBytes(run.measured.workingBytes),
    formatBytes(plan.predicted.weightsBytes),
    formatMs(median(run.measured.latencyMs)),
  ];
  printLine('YOLOv2, layers 0-15, 608x608. The weights are random: this measures, it detects nothing.');
  printLine();
  const header = ['', 'plan', 'working memory', 'mapped weights', `latency, median of ${REPEAT}`];
  printLine(
    formatTable(header, [row('untiled', untiled), row(`budget ${formatBytes(BUDGET_BYTES)}`, tiled)]),
  );
  printLine();
  const { verify } = tiled.run;
  printLine(
    `largest difference between the two outputs: ${verify?.maxAbsDiff}, largest value ${verify?.maxAbsReference.toFixed(3)}: ` +
      (verify?.exact ? 'equal' : 'NOT EQUAL'),
  );
  if (verify?.exact !== true) process.exitCode = 1;
}

const folder = await mkdtemp(join(tmpdir(), 'mafat-demo-'));
try {
  printReport(await runDemo(folder));
} finally {
  await rm(folder, { recursive: true, force: true });
}
