import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runMafat, temporaryFolder } from '../fixtures.js';

interface Front {
  readonly model: string;
  readonly front: readonly {
    readonly budgetBytes: number;
    readonly notation: string;
    readonly predicted: { readonly peakBytes: number; readonly latencyMs: number };
  }[];
}

const SYNTH = [
  'model',
  'synth',
  'yolov2-tiny',
  '--layers',
  '0-9',
  '--input',
  '160x160',
  '--name',
  'net',
] as const;

test('mafat plan --front lists plans that are each larger and faster than the one before, and draws them', (context) => {
  const folder = join(temporaryFolder(context), 'models');
  assert.equal(runMafat(folder, ...SYNTH).code, 0);
  const svg = join(folder, '..', 'front.svg');
  const { code, stdout, stderr } = runMafat(folder, 'plan', 'net', '--front', '--json', '--svg', svg);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  const { model, front } = JSON.parse(stdout) as Front;
  assert.equal(model, 'net');
  assert.ok(front.length > 1);
  for (const [at, point] of front.entries()) {
    assert.equal(point.predicted.peakBytes, point.budgetBytes, 'weights are resident');
    const before = front[at - 1];
    if (before === undefined) continue;
    assert.ok(point.budgetBytes > before.budgetBytes);
    assert.ok(point.predicted.latencyMs < before.predicted.latencyMs);
  }
  const drawn = readFileSync(svg, 'utf8');
  assert.match(drawn, /^<svg /);
  for (const { notation } of front) assert.ok(drawn.includes(notation.replaceAll('>', '&gt;')));
});

test('mafat plan refuses options that say nothing together', (context) => {
  const folder = join(temporaryFolder(context), 'models');
  const refusals = [
    [['--svg', 'a.svg'], /Cannot use --svg without --front: it draws the plans that --front lists/],
    [['--front', '--budget', '64M'], /Cannot use --front and --budget together/],
    [['--front', '--plan', 'whole'], /Cannot use --front and --plan together/],
    [['--front', '--strategy', 'mafat'], /Cannot use --front with strategy mafat: expected optimal/],
  ] as const;
  for (const [flags, message] of refusals) {
    const { code, stderr } = runMafat(folder, 'plan', 'net', ...flags);
    assert.notEqual(code, 0);
    assert.match(stderr, message);
  }
});
