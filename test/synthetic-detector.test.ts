/** A detector of Darknet's layers gives the same detections by each plan. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Detection } from '../agent/decode/detection.js';
import { assertSameDetections } from './detections.js';
import { detectorModels, drawnImage, runMafat, temporaryFolder } from './fixtures.js';

interface Run {
  readonly verify?: { readonly exact: boolean };
  readonly images: readonly { readonly detections: readonly Detection[] }[];
}

test('mafat run finds the same by each plan, exactly', async (context) => {
  const image = join(temporaryFolder(context), 'drawn.png');
  writeFileSync(image, await drawnImage(20));
  const run = (plan: string, ...flags: readonly string[]) => {
    const args = ['run', 'detector', '--image', image, '--plan', plan, ...flags, '--json'];
    const { code, stdout, stderr } = runMafat(detectorModels(), ...args);
    assert.equal(code, 0, stderr);
    const { verify, images } = JSON.parse(stdout) as Run;
    return { verify, found: images[0]?.detections ?? [] };
  };
  const untiled = run('whole').found;
  assert.ok(new Set(untiled.map(({ label }) => label)).size > 1);
  for (const plan of ['3x3 | 6 | 1x2', 'stream4 | 8 | whole', '1x3:stream4 | 8 | whole']) {
    const { verify, found } = run(plan, '--verify');
    assert.ok(verify?.exact, plan);
    assertSameDetections(found, untiled);
  }
});
