import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobOptions } from '../../agent/engine/request-queue.js';
import { BusyError, DeadlineError, RequestQueue, ShareError } from '../../agent/engine/request-queue.js';

const REQUEST = { kind: 'request' } as const;

/** Work that ends when it is told to, and the order in which works began. */
function createWorks() {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const work = (name: string) => () =>
    new Promise<string>((resolve) => {
      begun.push(name);
      ends.set(name, () => resolve(name));
    });
  return { begun, work, end: (name: string) => ends.get(name)?.() };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('RequestQueue runs one job at a time, in order of arrival', async () => {
  const { begun, work, end } = createWorks();
  const queue = new RequestQueue({ maxWaiting: 8 });
  const [one, two] = [queue.add(REQUEST, work('one')), queue.add({ kind: 'frame' }, work('two'))];
  await settled();
  assert.deepEqual(begun, ['one']);
  assert.equal(queue.counts.request.running, 1);
  assert.equal(queue.counts.frame.waiting, 1);
  end('one');
  assert.equal(await one, 'one');
  await settled();
  end('two');
  assert.equal(await two, 'two');
  await settled();
  assert.equal(queue.counts.frame.done, 1);
});

test('RequestQueue runs higher priorities first, upkeep before all and snapshots after all', async () => {
  const { begun, work, end } = createWorks();
  const queue = new RequestQueue({ maxWaiting: 8 });
  const add = (name: string, options: JobOptions) => queue.add(options, work(name));
  const jobs = [
    add('first', REQUEST),
    add('snapshot', { kind: 'snapshot', priority: 9 }),
    add('low', REQUEST),
    add('high', { ...REQUEST, priority: 2 }),
    add('high too', { ...REQUEST, priority: 2 }),
    add('upkeep', { kind: 'upkeep' }),
  ];
  const order = ['first', 'upkeep', 'high', 'high too', 'low', 'snapshot'];
  for (const name of order) {
    await settled();
    end(name);
  }
  await Promise.all(jobs);
  assert.deepEqual(begun, order);
});

// Requests of strangers made frames of cameras fail: bench/soak.
test('RequestQueue refuses jobs beyond its bound, but neither upkeep nor frames', async () => {
  const { work, end } = createWorks();
  const queue = new RequestQueue({ maxWaiting: 1 });
  const first = queue.add(REQUEST, work('first'));
  await assert.rejects(queue.add(REQUEST, work('more')), BusyError);
  assert.equal(queue.counts.request.refused, 1);
  const own = [queue.add({ kind: 'upkeep' }, work('upkeep')), queue.add({ kind: 'frame' }, work('frame'))];
  for (const name of ['first', 'upkeep']) {
    end(name);
    await settled();
  }
  const beside = queue.add(REQUEST, work('beside a frame'));
  for (const name of ['frame', 'beside a frame']) {
    end(name);
    await settled();
  }
  await Promise.all([first, ...own, beside]);
});

test('RequestQueue gives one client three quarters of its places', async () => {
  const { work, end } = createWorks();
  const queue = new RequestQueue({ maxWaiting: 4 });
  const add = (client: string) => queue.add({ ...REQUEST, client }, work(client));
  const jobs = [add('greedy'), add('greedy'), add('greedy')];
  await assert.rejects(add('greedy'), ShareError);
  jobs.push(add('other'));
  await assert.rejects(add('third'), (error) => error instanceof BusyError && !(error instanceof ShareError));
  for (const name of ['greedy', 'greedy', 'greedy', 'other']) {
    end(name);
    await settled();
  }
  await Promise.all(jobs);
});

test('RequestQueue answers a job past its deadline and never runs it', async () => {
  const { begun, work, end } = createWorks();
  const queue = new RequestQueue({ maxWaiting: 8 });
  const first = queue.add(REQUEST, work('first'));
  await assert.rejects(queue.add({ ...REQUEST, deadlineMs: 5 }, work('late')), DeadlineError);
  end('first');
  await first;
  await settled();
  assert.deepEqual(begun, ['first']);
  assert.equal(queue.counts.request.expired, 1);
});

test('RequestQueue keeps a job whose deadline is longer than a timer can wait', async () => {
  const { work, end } = createWorks();
  const queue = new RequestQueue({ maxWaiting: 8 });
  const first = queue.add(REQUEST, work('first'));
  const patient = queue.add({ ...REQUEST, deadlineMs: 2 ** 32 * 1000 }, async () => 'in time');
  await sleep(20);
  end('first');
  await first;
  assert.equal(await patient, 'in time');
});

test('RequestQueue runs a job with a deadline of 0 only if its turn comes at once', async () => {
  const { work, end } = createWorks();
  const queue = new RequestQueue({ maxWaiting: 8 });
  assert.equal(await queue.add({ ...REQUEST, deadlineMs: 0 }, async () => 'at once'), 'at once');
  await settled();
  const first = queue.add(REQUEST, work('first'));
  await assert.rejects(queue.add({ ...REQUEST, deadlineMs: 0 }, work('late')), DeadlineError);
  end('first');
  await first;
});

test('RequestQueue lets a job that has begun finish after its deadline', async () => {
  const queue = new RequestQueue({ maxWaiting: 8 });
  const answer = await queue.add({ ...REQUEST, deadlineMs: 5 }, async () => {
    await sleep(20);
    return 'done';
  });
  assert.equal(answer, 'done');
});

test('RequestQueue takes a waiting job out when its signal aborts', async () => {
  const { begun, work, end } = createWorks();
  const queue = new RequestQueue({ maxWaiting: 8 });
  const controller = new AbortController();
  const first = queue.add(REQUEST, work('first'));
  const cancelled = queue.add({ ...REQUEST, signal: controller.signal }, work('cancelled'));
  controller.abort(new Error('client left'));
  await assert.rejects(cancelled, /client left/);
  end('first');
  await first;
  assert.deepEqual(begun, ['first']);
  assert.equal(queue.counts.request.cancelled, 1);
});

test('RequestQueue goes on after a job that failed, and counts it', async () => {
  const queue = new RequestQueue({ maxWaiting: 8 });
  await assert.rejects(
    queue.add(REQUEST, () => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.equal(await queue.add(REQUEST, async () => 1), 1);
  await settled();
  assert.deepEqual(
    [queue.counts.request.failed, queue.counts.request.done, queue.counts.request.running],
    [1, 1, 0],
  );
});

test('RequestQueue.close() refuses what waits, waits for what runs, and refuses later jobs', async () => {
  const { work, end } = createWorks();
  const queue = new RequestQueue({ maxWaiting: 8 });
  const running = queue.add(REQUEST, work('running'));
  const refused = assert.rejects(queue.add(REQUEST, work('waiting')), /the engine is stopping/);
  let isClosed = false;
  const closed = queue.close('the engine is stopping').then(() => {
    isClosed = true;
  });
  await refused;
  assert.equal(isClosed, false);
  end('running');
  assert.equal(await running, 'running');
  await closed;
  await assert.rejects(queue.add(REQUEST, work('later')), BusyError);
  queue.open();
  assert.equal(await queue.add(REQUEST, async () => 'again'), 'again');
});

test('RequestQueue.drain() resolves when all jobs have ended', async () => {
  const { work, end } = createWorks();
  const queue = new RequestQueue({ maxWaiting: 8 });
  const jobs = [queue.add(REQUEST, work('one')), queue.add(REQUEST, work('two'))];
  let isDrained = false;
  const drained = queue.drain().then(() => {
    isDrained = true;
  });
  end('one');
  await settled();
  assert.equal(isDrained, false);
  end('two');
  await drained;
  await Promise.all(jobs);
});
