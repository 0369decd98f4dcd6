import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { ServiceNotifier } from '../../agent/board/service-notifier.js';
import { describeStatus, ServiceState } from '../../agent/report/service-state.js';
import { TimeExtension } from '../../agent/report/time-extension.js';
import { skipWithoutNotify, startReceiver } from '../notify-receiver.js';

const skip = skipWithoutNotify;
const log = pino({ level: 'silent' });
const NONE = { waiting: 0, running: 0, done: 0, failed: 0, refused: 0, expired: 0, cancelled: 0 };
const snapshot = () => ({
  models: [],
  queue: { frame: NONE, request: NONE, upkeep: NONE, snapshot: NONE },
  configFault: null,
});

test('ServiceState says READY, feeds the watchdog in half of its time, and is quiet when it is stopped', {
  skip,
}, async (context) => {
  const receiver = await startReceiver(context);
  const notifier = new ServiceNotifier({ socket: receiver.socket, watchdogMs: 800 });
  const state = new ServiceState({ notifier, snapshot, fault: () => undefined, log });
  state.start();
  const startMs = performance.now();
  await receiver.heard({ WATCHDOG: '1' }, 3);
  assert.ok(performance.now() - startMs < 3 * 400 + 300, 'three in three halves');
  state.stop();
  state.stop();
  await notifier.settle();
  const heard = receiver.messages.length;
  assert.deepEqual(receiver.messages[0], { READY: '1', STATUS: 'no models; 0 inferences/s' });
  await sleep(600);
  assert.equal(receiver.messages.length, heard);
});

test('ServiceState withholds the watchdog while the node is not healthy, and feeds it when the fault has passed', {
  skip,
}, async (context) => {
  const receiver = await startReceiver(context);
  const notifier = new ServiceNotifier({ socket: receiver.socket, watchdogMs: 400 });
  let fault: string | undefined = 'the executor hangs';
  const state = new ServiceState({ notifier, snapshot, fault: () => fault, log });
  state.start();
  context.after(() => state.stop());
  await receiver.heard({ READY: '1' });
  await sleep(1000);
  assert.equal(receiver.messages.filter((message) => 'WATCHDOG' in message).length, 0);
  fault = undefined;
  await receiver.heard({ WATCHDOG: '1' });
});

test('ServiceState starts nothing where no manager listens', () => {
  const notifier = new ServiceNotifier({});
  const refuse = () => assert.fail('looked at');
  const state = new ServiceState({ notifier, snapshot: refuse, fault: refuse, log });
  state.start();
  state.stop();
});

test('TimeExtension asks for time while a job runs, and no longer', { skip }, async (context) => {
  const receiver = await startReceiver(context);
  const notifier = new ServiceNotifier({ socket: receiver.socket });
  let isBusy = true;
  const extension = new TimeExtension({ notifier, isBusy: () => isBusy, intervalMs: 100 });
  extension.start();
  context.after(() => extension.stop());
  await receiver.heard({ EXTEND_TIMEOUT_USEC: '400000' }, 2);
  isBusy = false;
  await notifier.settle();
  const { length } = receiver.messages;
  await sleep(400);
  assert.ok(receiver.messages.length <= length + 1);
});

test('describeStatus() names plans, pressure, a fault and a rounded rate', () => {
  const model = {
    name: 'yf',
    input: { name: 'image', width: 320, height: 320 },
    smallestBytes: 1,
    memory: null,
  };
  const predicted = { workingBytes: 1, weightsBytes: 1, latencyMs: 1, peakBytes: 2 };
  const models = [
    { ...model, pressure: 'ok' as const, plan: { notation: 'stream4 | 8 | whole', predicted } },
    { ...model, name: 'big', pressure: 'critical' as const, plan: null },
  ];
  assert.equal(
    describeStatus(models, { rate: 1.96, fault: undefined }),
    'yf: stream4 | 8 | whole, big: no plan (critical); 2 inferences/s',
  );
  assert.equal(describeStatus([], { rate: 12.4, fault: 'x' }), 'not healthy: x; no models; 12 inferences/s');
});
