/** The demo's network, and what it would need untiled. */

import { availableParallelism } from 'node:os';
import { withContext } from '../agent/cli/context.js';
import { DEFINITIONS } from '../agent/models/definitions.js';
import { synthesizeDarknet } from '../agent/models/import-darknet.js';
import { ModelStore } from '../agent/models/model-store.js';
import { openModel } from '../agent/planning/open-model.js';
import { DEFAULT_STRATEGY, planNetwork } from '../agent/planning/plan-network.js';
import type { PredictedMemory } from '../shared/wire/index.js';

export const DEMO_MODEL = 'yolov2-start';

/** Not more than 4, so that the budgets of the demo, which scratch memory by threads counts on, suit every machine. */
export const DEMO_THREADS = Math.min(availableParallelism(), 4);

const LAYERS = 16;

/** Without it an answer would be the map of layer 15: 15 MB of JSON, more than the broker's limit. */
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

/** Stores the network with random weights. @returns its memory in one piece, as predicted. */
export async function makeDemoModel(modelsFolder: string): Promise<PredictedMemory> {
  return withContext(`making YOLOv2's first ${LAYERS} layers`, async ({ executor }) => {
    const store = new ModelStore(modelsFolder);
    const size = { width: 608, height: 608 };
    const network = { name: 'yolov2', text: firstLayers(DEFINITIONS.get('yolov2') ?? '') + CLASSIFIER };
    await synthesizeDarknet(network, { seed: 1 }, { store, executor, name: DEMO_MODEL, force: false, size });
    const opened = await openModel(store, DEMO_MODEL, { executor });
    const untiled = planNetwork(opened, {
      threads: DEMO_THREADS,
      malloc: 'trimmed',
      strategy: DEFAULT_STRATEGY,
      weights: 'resident',
      budgetBytes: Number.POSITIVE_INFINITY,
      notation: 'whole',
    });
    return untiled.predicted;
  });
}

/** [net] and the sections of the first layers. */
function firstLayers(definition: string): string {
  return definition
    .split(/^(?=\[)/m)
    .slice(0, 1 + LAYERS)
    .join('');
}
