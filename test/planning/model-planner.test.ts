import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { parseConfig } from '../../agent/config/load-config.js';
import { ModelPlanner } from '../../agent/planning/model-planner.js';
import type { Network } from '../../agent/planning/open-model.js';
import { Store } from '../../agent/store/store.js';
import { externalizeConstants, tensorBytes } from '../../shared/graph/index.js';
import { budgetedBytes } from '../../shared/search/index.js';
import { temporaryFolder } from '../fixtures.js';
import { graphOf } from '../notation.js';
import { imageInputOf } from '../run-in-process.js';

const BUDGET_BYTES = 64 * 2 ** 20;

test('ModelPlanner counts copies of weights at a blocked level once they could not be mapped', async (context) => {
  const { planner, weightsBytes } = startPlanner(context);
  await planner.start();
  await planner.adapt(BUDGET_BYTES, { steadyMs: 0, wallMs: 0 });
  const mapped = planner.plan?.predicted.workingBytes ?? Number.NaN;
  const before = planner.smallestBytes;
  await planner.countCopies();
  await planner.adapt(BUDGET_BYTES, { steadyMs: 1, wallMs: 1 });
  const copied = planner.plan?.predicted.workingBytes ?? Number.NaN;
  assert.equal(copied - mapped, weightsBytes);
  assert.equal(planner.smallestBytes - before, weightsBytes);
});

test('ModelPlanner.adapt() plans once, keeps the plan while it fits, and takes it from the store after a restart', async (context) => {
  const { planner, restart } = startPlanner(context);
  const first = await planner.adapt(BUDGET_BYTES, { steadyMs: 0, wallMs: 0 });
  assert.equal(first?.origin, 'searched');
  assert.equal(planner.pressure, 'ok');
  assert.equal(await planner.adapt(BUDGET_BYTES, { steadyMs: 100, wallMs: 100 }), undefined);
  const again = await restart().adapt(BUDGET_BYTES, { steadyMs: 0, wallMs: 0 });
  assert.equal(again?.origin, 'stored');
  assert.equal(again.plan.notation, first.plan.notation);
});

test('ModelPlanner.adapt() takes the smallest plan where none fits, and says critical', async (context) => {
  const { planner } = startPlanner(context);
  await planner.start();
  const change = await planner.adapt(1, { steadyMs: 0, wallMs: 0 });
  assert.equal(planner.pressure, 'critical');
  assert.ok(change !== undefined);
  assert.equal(budgetedBytes(change.plan.predicted, planner.config.weights), planner.smallestBytes);
});

test('ModelPlanner refuses a strategy that does not exist, naming those that do', (context) => {
  assert.throws(() => startPlanner(context, 'best'), /by strategy "best": expected optimal, mafat/);
});

function startPlanner(context: TestContext, strategy = 'optimal') {
  const { graph } = externalizeConstants(graphOf('3x64x64: c32k3p1 c32k3p1 c32k3p1'), 'data');
  const weightsBytes = graph.tensors
    .filter(({ constant }) => constant?.kind === 'external')
    .reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  assert.ok(weightsBytes > 0);
  const folder = temporaryFolder(context);
  const store = new Store(join(folder, 'agent.db'));
  store.start();
  context.after(() => store.stop());
  const [config] = parseConfig(`models: [{ name: net, level: all, strategy: ${strategy} }]`, 'a').models;
  assert.ok(config !== undefined);
  const input = imageInputOf(graph) as Network['input'];
  const manifest = { digest: 'sha256:1' } as Network['manifest'];
  const network = {
    name: 'net',
    folder,
    manifest,
    input,
    graph,
    mapsWeights: true,
    checkFiles: () => undefined,
  };
  const restart = () => new ModelPlanner(network, config, { store });
  return { planner: restart(), restart, weightsBytes };
}
