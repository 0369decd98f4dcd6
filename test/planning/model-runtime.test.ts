import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { parseConfig } from '../../agent/config/load-config.js';
import { ModelRuntime } from '../../agent/planning/model-runtime.js';
import type { Network } from '../../agent/planning/open-model.js';
import { Store } from '../../agent/store/store.js';
import { externalizeConstants, tensorBytes } from '../../shared/graph/index.js';
import { temporaryFolder } from '../fixtures.js';
import { graphOf } from '../notation.js';
import { imageInputOf } from '../run-in-process.js';

const MEBI = 2 ** 20;

test('ModelRuntime counts copies of weights at a blocked level once they could not be mapped', async (context) => {
  const { runtime, weightsBytes } = startRuntime(context);
  await runtime.start();
  const mapped = (await runtime.planFor(64 * MEBI, 0))?.plan.predicted.workingBytes ?? 0;
  const before = runtime.smallestBytes;
  await runtime.countCopies();
  assert.notEqual(runtime.look(64 * MEBI, 1), undefined, 'another plan is asked for');
  await runtime.planFor(64 * MEBI, 1);
  const copied = runtime.plan?.predicted.workingBytes ?? 0;
  assert.equal(copied - mapped, weightsBytes);
  assert.equal(runtime.smallestBytes - before, weightsBytes);
});

test('ModelRuntime refuses a strategy that does not exist, naming those that do', (context) => {
  assert.throws(() => startRuntime(context, 'best'), /by strategy "best": expected optimal, mafat/);
});

function startRuntime(context: TestContext, strategy = 'optimal') {
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
  return { runtime: new ModelRuntime(network, config, { store }), weightsBytes };
}
