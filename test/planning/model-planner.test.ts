import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { parseConfig } from '../../agent/config/load-config.js';
import { ModelPlanner } from '../../agent/planning/model-planner.js';
import type { Network } from '../../agent/planning/open-model.js';
import type { FrontSummary } from '../../agent/planning/search.js';
import { Store } from '../../agent/store/store.js';
import { externalizeConstants, tensorBytes } from '../../shared/graph/index.js';
import { searchFront } from '../../shared/search/index.js';
import { temporaryFolder } from '../fixtures.js';
import { graphOf } from '../notation.js';
import { imageInputOf } from '../run-in-process.js';

const MEBI = 2 ** 20;
const AMPLE = 256 * MEBI;

test('ModelPlanner counts copies of weights at a blocked level once they could not be mapped', (context) => {
  const { planner, weightsBytes } = startPlanner(context);
  planner.adapt(AMPLE, 0);
  const mapped = planner.plan?.predicted.workingBytes ?? Number.NaN;
  assert.equal(planner.countCopies(), true);
  planner.adapt(AMPLE, 1);
  const copied = planner.plan?.predicted.workingBytes ?? Number.NaN;
  assert.equal(copied - mapped, weightsBytes);
  assert.equal(planner.countCopies(), false);
});

test('ModelPlanner.adapt() plans by rule until the front is known, and takes it from the store after a restart', (context) => {
  const { planner, restart } = startPlanner(context);
  assert.equal(planner.adapt(AMPLE, 0)?.origin, 'rules');
  assert.equal(planner.isProvisional, true);
  assert.equal(planner.adapt(AMPLE, 100), undefined, 'a plan that fits stays');
  planner.adopt(frontOf(planner));
  assert.equal(planner.isProvisional, false);
  const again = restart();
  assert.equal(again.adapt(AMPLE, 0)?.origin, 'stored');
  assert.equal(again.isProvisional, false);
});

test('ModelPlanner.adapt() picks from the front at once, whatever the budget', (context) => {
  const { planner } = startPlanner(context);
  const front = frontOf(planner);
  planner.adopt(front);
  let nowMs = 0;
  for (const { predicted } of [...front.points].reverse()) {
    nowMs += 1;
    const budgetBytes = Math.ceil(predicted.peakBytes / 0.9);
    planner.adapt(budgetBytes, nowMs);
    assert.ok(planner.needBytes <= budgetBytes);
    // A larger plan stays where the budget still bears it.
    assert.ok((planner.plan?.predicted.latencyMs ?? Number.NaN) <= predicted.latencyMs);
    assert.notEqual(planner.pressure, 'critical');
  }
});

test('ModelPlanner.adapt() takes the smallest plan where none fits, and says critical', (context) => {
  const { planner } = startPlanner(context);
  assert.ok(planner.adapt(1, 0) !== undefined);
  assert.equal(planner.pressure, 'critical');
  assert.equal(planner.needBytes, planner.smallestBytes);
});

test('ModelPlanner.record() corrects a plan that takes more than it promised, and leaves it', (context) => {
  const { planner, restart } = startPlanner(context);
  planner.adopt(frontOf(planner));
  planner.adapt(AMPLE, 0);
  const { plan } = planner;
  assert.ok(plan !== undefined);
  const run = { model: 'net', plan, latencyMs: 1, workingBytes: plan.predicted.workingBytes };
  assert.equal(planner.record(run, 0), undefined, 'a promise that was kept');
  const correction = planner.record({ ...run, workingBytes: AMPLE }, 1);
  assert.equal(correction?.measuredBytes, AMPLE);
  assert.equal(planner.memory?.promisedBytes, AMPLE);
  assert.equal(planner.memory.measuredBytes, AMPLE);
  const next = planner.adapt(AMPLE, 2);
  assert.ok(next !== undefined);
  assert.notEqual(next.plan.notation, plan.notation);
  const again = restart();
  assert.notEqual(again.adapt(AMPLE, 0)?.plan.notation, plan.notation, 'the store keeps it');
});

test('ModelPlanner.bar() never uses a plan again at the budget at which it got its executor killed', (context) => {
  const { planner, restart } = startPlanner(context);
  planner.adopt(frontOf(planner));
  planner.adapt(AMPLE, 0);
  const { plan } = planner;
  assert.ok(plan !== undefined);
  planner.bar(plan, AMPLE);
  planner.adapt(AMPLE, 1);
  assert.notEqual(planner.plan?.notation, plan.notation);
  assert.notEqual(restart().adapt(AMPLE, 0)?.plan.notation, plan.notation, 'the store keeps it');
  assert.equal(restart().adapt(2 * AMPLE, 0)?.plan.notation, plan.notation, 'with more memory it may');
});

/** The front as a search gives it. */
function frontOf(planner: ModelPlanner): FrontSummary {
  const { graph, ...options } = planner.job;
  const { points, complete } = searchFront(graph, options);
  return { complete, points: points.map(({ plan }) => plan) };
}

function startPlanner(context: TestContext) {
  const { graph } = externalizeConstants(graphOf('3x256x256: c32k3p1 c32k3p1 c32k3p1'), 'data');
  const weightsBytes = graph.tensors
    .filter(({ constant }) => constant?.kind === 'external')
    .reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  assert.ok(weightsBytes > 0);
  const folder = temporaryFolder(context);
  const store = new Store(join(folder, 'agent.db'));
  store.start();
  context.after(() => store.stop());
  const [config] = parseConfig('models: [{ name: net, level: all }]', 'a').models;
  assert.ok(config !== undefined);
  const input = imageInputOf(graph) as Network['input'];
  const manifest = { digest: 'sha256:1' } as Network['manifest'];
  const about = { name: 'net', folder, manifest, input, graph };
  const network = { ...about, mapsWeights: true, checkFiles: () => undefined };
  const restart = () => {
    const planner = new ModelPlanner(network, config, { store });
    planner.start();
    return planner;
  };
  return { planner: restart(), restart, weightsBytes };
}
