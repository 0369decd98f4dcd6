import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeProbes } from '../../../agent/planning/calibrate/probes.js';
import type { RunSettings } from '../../../shared/predict/index.js';
import {
  ALLOCATORS,
  BUILT_IN_PROFILE,
  costsFor,
  emptyWork,
  LEVELS,
  latencyOf,
  WORK_KINDS,
} from '../../../shared/predict/index.js';
import { buildPlan, countPlanWork, parsePlan } from '../../../shared/search/index.js';

const SETTINGS: RunSettings = { level: 'extended', allocator: 'glibc', threads: 1 };

test('makeProbes() gives probes that run as their notations say, at every level', () => {
  for (const { name, graph, plans } of makeProbes()) {
    for (const notation of plans) {
      for (const level of LEVELS) {
        for (const allocator of ALLOCATORS) {
          const plan = buildPlan(graph, parsePlan(notation), { ...SETTINGS, level, allocator });
          assert.equal(plan.notation, notation, `${name} ${level} ${allocator}`);
        }
      }
    }
  }
});

test('makeProbes() gives each probe a name and plans of its own, and always the same', () => {
  const probes = makeProbes();
  assert.equal(new Set(probes.map(({ name }) => name)).size, probes.length);
  for (const { name, plans } of probes) assert.equal(new Set(plans).size, plans.length, name);
  assert.deepEqual(makeProbes(), probes);
});

test('makeProbes() lets every kind of work weigh a twentieth of some run at least, by the built-in costs', () => {
  const costs = costsFor(BUILT_IN_PROFILE, SETTINGS);
  const most = emptyWork();
  for (const { graph, plans } of makeProbes()) {
    for (const notation of plans) {
      const plan = buildPlan(graph, parsePlan(notation), SETTINGS);
      const work = countPlanWork(graph, plan);
      for (const kind of WORK_KINDS) {
        const part = (work[kind] * costs[kind]) / 1e6 / latencyOf(work, costs);
        most[kind] = Math.max(most[kind], part);
      }
    }
  }
  for (const kind of WORK_KINDS) assert.ok(most[kind] > 0.05, `${kind}: ${most[kind]}`);
});
