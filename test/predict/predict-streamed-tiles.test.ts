import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SegmentPrediction } from '../../shared/predict/index.js';
import { emptyWork, predictorOf } from '../../shared/predict/index.js';
import { sessionsOf } from '../../shared/predict/sessions.js';
import { buildPlan, parsePlan } from '../../shared/search/index.js';
import { graphOf } from '../notation.js';

const WIDE = '3x128x256: c16k3p1 l m2s2 c32k3p1 l c32k3p1 l';
const SETTINGS = { threads: 1, level: 'extended' } as const;

test('predictSegments() sees that streamed tiles need less than streams of whole rows, and than tiles', () => {
  const [stream, tiled, both] = ['stream2', '1x4', '1x4:stream2'].map(predictionOf);
  assert.ok(stream && tiled && both);
  assert.ok(both.workingBytes < stream.workingBytes, `${both.workingBytes}, stream ${stream.workingBytes}`);
  assert.ok(both.workingBytes < tiled.workingBytes, `${both.workingBytes}, tiles ${tiled.workingBytes}`);
});

test('predictSegments() counts the halos of streamed tiles as work, and no more than those of tiles', () => {
  const [stream, tiled, both] = ['stream2', '1x4', '1x4:stream2'].map(predictionOf);
  assert.equal(stream?.macOverhead, 1);
  assert.equal(both?.macs, tiled?.macs);
  assert.ok((both?.macs ?? 0) > (stream?.macs ?? 0));
  assert.ok((both?.latencyMs ?? 0) > (stream?.latencyMs ?? 0));
});

test('sessionsOf() gives streamed tiles one session with the steps of all of them', () => {
  const graph = graphOf(WIDE);
  const [planned] = buildPlan(graph, parsePlan('2x3:stream2'), SETTINGS).segments;
  assert.ok(planned?.segment.kind === 'streamed-tiles');
  const sessions = [...sessionsOf(graph, planned.segment, predictorOf(graph, SETTINGS, emptyWork()))];
  assert.equal(sessions.length, 1);
  const steps = sessions.flatMap((session) => [...session.steps]);
  const counts = planned.segment.streams.map(
    ({ link, tiles }) => (link.stream.middleSteps + 2) * tiles.length,
  );
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  assert.equal(sum(steps.map(({ count }) => count)), sum(counts));
});

function predictionOf(planText: string): SegmentPrediction | undefined {
  const { segments, notation } = buildPlan(graphOf(WIDE), parsePlan(planText), SETTINGS);
  assert.equal(notation, planText);
  return segments[0]?.prediction;
}
