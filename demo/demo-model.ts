/** Makes the demo's network and predicts its memory untiled. */

import { availableParallelism } from 'node:os';
import { withContext } from '../agent/cli/context.js';
import { DEFINITIONS } from '../agent/models/definitions.js';
import { synthesizeDarknet } from '../agent/models/import-darknet.js';
import { ModelStore } from '../agent/models/model-store.js';
import { openModel } from '../agent/planning/open-model.js';
import { planNetwork } from '../agent/planning/plan-network.js';
import { DEFAULT_STRATEGY } from '../agent/planning/strategies.js';
import { valueFor } from '../shared/graph/index.js';
import type { PredictedMemory } from '../shared/wire/index.js';

export const DEMO_MODEL = 'yolov2-start';

/** Number of threads. Each thread needs scratch memory, so at most 4 keep the demo's budgets valid on any machine. */
export const DEMO_THREADS = Math.min(availableParallelism(), 4);

const LAYERS = 16;

/** Layers that end the network. Without them an answer would be a whole map, whose JSON exceeds the broker's limit. */
const CLASSIFIER = `
[convolutional]
size=1
stride=1
pad=1
filters=80
activation=linear
[avgpool]
[softmax]
`;

/** Stores the network with random weights. @returns its predicted memory if it runs untiled. */
export async function makeDemoModel(modelsFolder: string): Promise<PredictedMemory> {
  return withContext(`making YOLOv2's first ${LAYERS} layers`, async ({ executor }) => {
    const store = new ModelStore(modelsFolder);
    const size = { width: 608, height: 608 };
    const network = { name: 'yolov2', text: firstLayers(valueFor(DEFINITIONS, 'yolov2')) + CLASSIFIER };
    await synthesizeDarknet(
      network,
      { seed: 1 },
      { store, executor, name: DEMO_MODEL, force: false, input: { size } },
    );
    const opened = await openModel(store, DEMO_MODEL, { executor });
    const untiled = planNetwork(opened, {
      threads: DEMO_THREADS,
      strategy: DEFAULT_STRATEGY,
      weights: 'resident',
      budgetBytes: Number.POSITIVE_INFINITY,
      notation: 'whole',
    });
    return untiled.predicted;
  });
}

/** Section [net] and the sections of the first layers. */
function firstLayers(definition: string): string {
  return definition
    .split(/^(?=\[)/m)
    .slice(0, 1 + LAYERS)
    .join('');
}
