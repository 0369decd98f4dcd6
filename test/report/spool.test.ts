/** The spool with a real store and a connection that comes and goes. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { Spool } from '../../agent/report/spool.js';
import { Store } from '../../agent/store/store.js';
import { temporaryFolder } from '../fixtures.js';
import { until } from '../start-agent.js';

test('Spool sends at once what it can, and keeps nothing of it', async (context) => {
  const { spool, connection } = startSpool(context);
  connection.connect();
  spool.publish('t', '1');
  await until(() => connection.sent.length === 1);
  assert.deepEqual(spool.state, { waiting: 0, waitingBytes: 0, dropped: 0 });
});

test('Spool sends what was published while the broker was away, in order, when it is back', async (context) => {
  const { spool, connection } = startSpool(context);
  const messages = Array.from({ length: 300 }, (_, at) => String(at));
  for (const message of messages) spool.publish('t', message);
  assert.equal(spool.state.waiting, 300);
  connection.connect();
  await until(() => spool.state.waiting === 0);
  assert.deepEqual(connection.sent, messages);
});

test('Spool sends again what was on its way when the line broke', async (context) => {
  const { spool, connection } = startSpool(context);
  connection.connect();
  connection.breaks = true;
  spool.publish('t', 'lost');
  await until(() => !connection.isConnected && spool.state.waiting === 1);
  connection.breaks = false;
  connection.connect();
  await until(() => spool.state.waiting === 0);
  assert.deepEqual(connection.sent, ['lost']);
});

test('Spool keeps messages over a restart', async (context) => {
  const { spool, path, stop } = startSpool(context);
  spool.publish('t', 'kept');
  await stop();
  const again = startSpool(context, path);
  assert.equal(again.spool.state.waiting, 1);
  again.connection.connect();
  await until(() => again.connection.sent.length === 1);
});

test('Spool drops and counts the oldest messages beyond its size, and what the broker never takes', async (context) => {
  const { spool } = startSpool(context);
  const large = 'x'.repeat(2 ** 20);
  for (let at = 0; at < 12; at += 1) spool.publish('t', `${at}${large}`);
  await spool.stop();
  assert.ok(spool.state.waitingBytes <= 8 * 2 ** 20 && spool.state.dropped > 0, JSON.stringify(spool.state));
  const other = startSpool(context);
  other.connection.refuses = true;
  other.connection.connect();
  other.spool.publish('t', 'never');
  await until(() => other.refused.length === 1);
  assert.equal(other.spool.state.waiting, 0);
});

function startSpool(context: TestContext, path = join(temporaryFolder(context), 'agent.db')) {
  const store = new Store(path);
  store.start();
  const connection = new FakeConnection();
  const refused: string[] = [];
  const spool = new Spool({ connection, store, onRefused: (topic) => refused.push(topic) });
  spool.start();
  context.after(() => stop());
  let isStopped = false;
  const stop = async () => {
    if (isStopped) return;
    isStopped = true;
    await spool.stop();
    store.stop();
  };
  return { spool, path, connection, refused, stop };
}

class FakeConnection {
  isConnected = false;
  breaks = false;
  refuses = false;
  readonly sent: string[] = [];
  #handle: () => void = () => undefined;

  onConnect(handle: () => void): void {
    this.#handle = handle;
  }

  connect(): void {
    this.isConnected = true;
    this.#handle();
  }

  async deliver(_topic: string, payload: string): Promise<boolean> {
    await Promise.resolve();
    if (this.refuses) throw new RangeError('too large');
    if (this.breaks) this.isConnected = false;
    if (!this.isConnected) return false;
    this.sent.push(payload);
    return true;
  }
}
