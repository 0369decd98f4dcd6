import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { FrontSearchesOptions } from '../../agent/planning/front-searches.js';
import { FrontSearches } from '../../agent/planning/front-searches.js';
import type { FrontSummary, SearchOptions } from '../../agent/planning/search.js';
import { graphOf } from '../notation.js';

const AMPLE = 2 ** 30;
const FRONT: FrontSummary = { points: [], complete: true };

/** A search that ends when the test says so, or when it is aborted. */
class Searches {
  readonly found: string[] = [];
  readonly failed: string[] = [];
  readonly lent: boolean[] = [];
  roomBytes = AMPLE;
  /** Of the searches that run. */
  readonly running: { resolve: (front: FrontSummary) => void; reject: (error: Error) => void }[] = [];
  readonly searches: FrontSearches;

  constructor() {
    const options: FrontSearchesOptions = {
      onFound: (name) => this.found.push(name),
      onFailed: (name) => this.failed.push(name),
      roomBytes: () => this.roomBytes,
      lend: (work) => {
        this.lent.push(true);
        return work(new AbortController().signal);
      },
      search: (_job, { signal }: SearchOptions) =>
        new Promise<FrontSummary>((resolve, reject) => {
          const one = { resolve, reject };
          this.running.push(one);
          signal?.addEventListener('abort', () => reject(signal.reason as Error));
        }).finally(() => this.running.shift()),
    };
    this.searches = new FrontSearches(options);
  }

  request(name: string): void {
    const graph = graphOf('3x8x8: c4k3p1');
    this.searches.request({ name, job: { graph, variants: [], weights: 'resident' } });
  }

  async end(error?: Error): Promise<void> {
    const [first] = this.running;
    if (error === undefined) first?.resolve(FRONT);
    else first?.reject(error);
    await settle();
  }
}

/** Lets promises settle; timers are mocked. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
}

test('FrontSearches runs one search at a time for all models', async () => {
  const all = new Searches();
  for (const name of ['a', 'b', 'c']) all.request(name);
  for (const expected of [['a'], ['a', 'b'], ['a', 'b', 'c']]) {
    await settle();
    assert.equal(all.running.length, 1);
    await all.end();
    assert.deepEqual(all.found, expected);
  }
  assert.deepEqual(all.lent, [], 'there is room beside the executor');
});

test('FrontSearches ends a search that is obsolete, and searches anew', async () => {
  const all = new Searches();
  all.request('a');
  await settle();
  all.request('a');
  await settle();
  assert.equal(all.running.length, 1);
  await all.end();
  assert.deepEqual([all.found, all.failed], [['a'], []]);
});

test('FrontSearches takes the place of the executor where memory is short, after the first answers', async (context) => {
  const timers = mockTime(context);
  const all = new Searches();
  all.roomBytes = 0;
  all.request('a');
  await settle();
  assert.equal(all.running.length, 0);
  timers.tick(60_000);
  await settle();
  assert.deepEqual([all.running.length, all.lent], [1, [true]]);
  await all.end();
  assert.deepEqual(all.found, ['a']);
});

test('FrontSearches ends a search under pressure, and tries it again without a complaint', async (context) => {
  const timers = mockTime(context);
  const all = new Searches();
  all.request('a');
  await settle();
  all.searches.yieldMemory();
  await settle();
  assert.deepEqual([all.running.length, all.failed], [0, []]);
  timers.tick(120_000);
  await settle();
  await all.end();
  assert.deepEqual(all.found, ['a']);
});

test('FrontSearches tries a search that failed again, later each time', async (context) => {
  const timers = mockTime(context);
  const all = new Searches();
  all.request('a');
  for (const waitMs of [60_000, 120_000, 240_000]) {
    await settle();
    await all.end(new Error('killed'));
    timers.tick(waitMs - 1);
    await settle();
    assert.equal(all.running.length, 0);
    timers.tick(2);
  }
  await settle();
  assert.equal(all.running.length, 1);
  assert.equal(all.failed.length, 3);
});

test('FrontSearches.stop() ends the search that runs, and starts none', async () => {
  const all = new Searches();
  for (const name of ['a', 'b']) all.request(name);
  await settle();
  all.searches.stop();
  await settle();
  assert.deepEqual([all.running.length, all.found, all.failed], [0, [], []]);
});

/** Timers and performance.now() by the test. */
function mockTime(context: { after: (work: () => void) => void }): { tick: (ms: number) => void } {
  let nowMs = 0;
  mock.timers.enable({ apis: ['setTimeout'] });
  const now = mock.method(performance, 'now', () => nowMs);
  context.after(() => {
    mock.timers.reset();
    now.mock.restore();
  });
  return {
    tick: (ms) => {
      nowMs += ms;
      mock.timers.tick(ms);
    },
  };
}
