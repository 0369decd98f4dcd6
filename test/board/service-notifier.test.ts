import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceNotifier } from '../../agent/board/service-notifier.js';
import { skipWithoutNotify, startReceiver } from '../notify-receiver.js';

const skip = skipWithoutNotify;

test('ServiceNotifier sends messages in order to a unix datagram socket', { skip }, async (context) => {
  const receiver = await startReceiver(context);
  const notifier = new ServiceNotifier({ socket: receiver.socket });
  notifier.send({ READY: '1', STATUS: 'two\nlines' });
  notifier.sendReloading();
  notifier.send({ READY: '1' });
  notifier.send({ STOPPING: '1' });
  await notifier.settle();
  await receiver.heard({ STOPPING: '1' });
  const [ready, reloading, again, stopping] = receiver.messages;
  assert.deepEqual(ready, { READY: '1', STATUS: 'two lines' });
  assert.equal(reloading?.RELOADING, '1');
  assert.match(reloading?.MONOTONIC_USEC ?? '', /^\d+$/);
  assert.deepEqual([again, stopping], [{ READY: '1' }, { STOPPING: '1' }]);
});

test('ServiceNotifier sends to an abstract socket', { skip }, async (context) => {
  const receiver = await startReceiver(context, `@mafat-test-${process.pid}`);
  const notifier = new ServiceNotifier({ socket: receiver.socket });
  notifier.send({ WATCHDOG: '1' });
  await receiver.heard({ WATCHDOG: '1' });
});

test('ServiceNotifier joins messages that wait, and keeps those that change the state apart', {
  skip,
}, async (context) => {
  const receiver = await startReceiver(context);
  const notifier = new ServiceNotifier({ socket: receiver.socket });
  notifier.send({ READY: '1' });
  notifier.send({ STATUS: 'old' });
  notifier.send({ STATUS: 'new' });
  notifier.send({ WATCHDOG: '1' });
  await notifier.settle();
  await receiver.heard({ STATUS: 'new' });
  assert.deepEqual(receiver.messages, [{ READY: '1' }, { STATUS: 'new', WATCHDOG: '1' }]);
});

test('ServiceNotifier reports a failure once, and never throws', async () => {
  const errors: string[] = [];
  const notifier = new ServiceNotifier({
    socket: '/nowhere',
    program: '/no/such/program',
    onError: ({ message }) => errors.push(message),
  });
  notifier.send({ READY: '1' });
  notifier.send({ STOPPING: '1' });
  await notifier.settle();
  assert.equal(errors.length, 1);
  assert.match(errors[0] ?? '', /ENOENT/);
});

test('ServiceNotifier does nothing without a socket', async () => {
  const onError = (error: Error) => assert.fail(error);
  const notifier = ServiceNotifier.fromEnvironment({ onError, program: '/no/such/program' }, {});
  notifier.send({ READY: '1' });
  await notifier.settle();
  assert.equal(notifier.isActive, false);
});

test('ServiceNotifier.fromEnvironment() takes the variables away from children, and heeds WATCHDOG_PID', () => {
  const env = { NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: '3000000', WATCHDOG_PID: '1', OTHER: 'stays' };
  const own = { ...env, WATCHDOG_PID: String(process.pid) };
  assert.equal(ServiceNotifier.fromEnvironment({}, env).watchdogMs, undefined);
  assert.equal(ServiceNotifier.fromEnvironment({}, own).watchdogMs, 3000);
  assert.deepEqual([env, own], [{ OTHER: 'stays' }, { OTHER: 'stays' }]);
});
