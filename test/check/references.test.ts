import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summarize } from '../../agent/check/answer.js';
import { References } from '../../agent/check/references.js';
import type { AnswerKey, StoredAnswer } from '../../agent/store/store.js';
import type { Plan } from '../../shared/search/index.js';

const MODEL = { name: 'net', manifest: { digest: 'sha256:1' }, input: { width: 8, height: 8 } };

const planOf = (notation: string, level = 'all') =>
  ({ notation, settings: { level, threads: 2, allocator: 'glibc' } }) as unknown as Plan;

const answerOf = (value: number) =>
  summarize([
    { name: 'y', dtype: 'float32', shape: [1], bytes: new Uint8Array(Float32Array.of(value).buffer) },
  ]);

function createReferences() {
  const kept = new Map<string, StoredAnswer>();
  const store = {
    findAnswer: (key: AnswerKey) => kept.get(JSON.stringify(key)),
    saveAnswer: (key: AnswerKey, answer: StoredAnswer) => void kept.set(JSON.stringify(key), answer),
  };
  return new References(store);
}

test('References takes the first answer for right, and compares later ones with it', () => {
  const references = createReferences();
  assert.equal(references.check(MODEL, planOf('2x2'), answerOf(1)), undefined);
  assert.equal(references.isProven(MODEL, planOf('2x2')), false);
  assert.equal(references.check(MODEL, planOf('3x3'), answerOf(1)), undefined);
  assert.match(references.check(MODEL, planOf('3x3'), answerOf(2)) ?? '', /differ/);
  assert.equal(references.check(MODEL, planOf('3x3', 'basic'), answerOf(2)), undefined, 'another level');
});

test('References believes the untiled run against any other', () => {
  const references = createReferences();
  references.check(MODEL, planOf('2x2'), answerOf(1));
  assert.equal(references.check(MODEL, planOf('whole'), answerOf(2)), undefined);
  assert.ok(references.isProven(MODEL, planOf('whole')));
  assert.match(references.check(MODEL, planOf('2x2'), answerOf(1)) ?? '', /differ/);
});

test('References believes two plans that agree against the known answer, which may be damaged', () => {
  const references = createReferences();
  references.check(MODEL, planOf('whole'), answerOf(5));
  assert.match(references.check(MODEL, planOf('2x2'), answerOf(1)) ?? '', /differ/);
  assert.match(
    references.check(MODEL, planOf('2x2'), answerOf(1)) ?? '',
    /differ/,
    'the same plan proves nothing',
  );
  assert.equal(references.check(MODEL, planOf('3x3'), answerOf(1)), undefined);
  assert.equal(references.check(MODEL, planOf('2x2'), answerOf(1)), undefined);
});
