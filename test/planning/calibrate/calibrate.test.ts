import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExecutorError } from '../../../agent/engine/executor-client.js';
import { calibrate } from '../../../agent/planning/calibrate/calibrate.js';

test('calibrate() ends with its executor when the signal aborts, having reported each job', async () => {
  const controller = new AbortController();
  const seen: string[] = [];
  const running = calibrate({
    threads: [1],
    hasBlocked: false,
    onProgress: (done, all) => {
      seen.push(`${done} of ${all}`);
      if (done === 3) controller.abort();
    },
    signal: controller.signal,
  });
  await assert.rejects(
    running,
    (error: unknown) => error instanceof ExecutorError || error === controller.signal.reason,
  );
  const all = seen[0]?.split(' of ')[1];
  assert.deepEqual(
    seen,
    [1, 2, 3].map((done) => `${done} of ${all}`),
  );
});

test('calibrate() does not begin when the signal has aborted before', async () => {
  const signal = AbortSignal.abort(new Error('no longer wanted'));
  const onProgress = () => assert.fail('it runs');
  await assert.rejects(
    calibrate({ threads: [1], hasBlocked: false, onProgress, signal }),
    /no longer wanted/,
  );
});
