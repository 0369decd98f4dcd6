/** Places and tools that tests share. */

import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { drawFrame } from '../agent/camera/synthetic-camera.js';
import { GraphBuilder } from '../shared/graph/index.js';
import { writeOnnx } from '../shared/onnx/index.js';
import { writeDetector } from './synthetic-detector.js';

export const project = fileURLToPath(new URL('../../', import.meta.url));

/** A trained detector and what it finds. It lies beside the project and isn't part of it. */
export const SHARED_MODELS = join(project, '..', 'shared', 'models');

/** For `test(name, { skip }, ...)`: only a test of a trained network's labels may be left out. */
export const skipWithoutShared: string | false = existsSync(SHARED_MODELS)
  ? false
  : 'no ../shared/models, whose trained detector it needs';

/** A folder that goes away with the test. */
export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'mafat-test-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A folder that goes away with the process, for what its tests share. */
export function sharedFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mafat-test-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

let detectorStore: string | undefined;

/** Store with the synthetic detector as `detector`. It is imported once, and must not be changed. */
export function detectorModels(): string {
  detectorStore ??= importDetector();
  return detectorStore;
}

function importDetector(): string {
  const folder = sharedFolder();
  const { config, weights, labels } = writeDetector(folder);
  const models = join(folder, 'models');
  const { code, stderr } = runMafat(models, 'model', 'import', config, weights, '--labels', labels);
  if (code !== 0) throw new Error(`Cannot import the synthetic detector: ${stderr}`);
  return models;
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real command in a process of its own. */
export function runMafat(models: string, ...args: readonly string[]): CommandResult {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(project, 'dist/agent/main.js'), ...args],
    {
      encoding: 'utf8',
      env: { ...process.env, MAFAT_MODELS: models },
      maxBuffer: 2 ** 26,
    },
  );
  return { code: status, stdout, stderr };
}

/** The same beside other work. */
export function startMafat(models: string, ...args: readonly string[]): Promise<CommandResult> {
  const options = { env: { ...process.env, MAFAT_MODELS: models }, maxBuffer: 2 ** 26 };
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [join(project, 'dist/agent/main.js'), ...args],
      options,
      (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

/** Bytes of a small ONNX model: 3 x 16 x 16 -> Conv -> Relu. */
export function smallModel(): Uint8Array {
  const builder = new GraphBuilder();
  const image = builder.addInput('image', [1, 3, 16, 16]);
  const weights = builder.addConstant(
    'weights',
    Float32Array.from({ length: 4 * 3 * 9 }, (_, at) => Math.sin(at)),
    [4, 3, 3, 3],
  );
  const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
  const conv = builder.addMap(
    0,
    { op: 'Conv', inputs: [image, weights], attributes },
    { channels: 4, rows: 16, cols: 16 },
  );
  const relu = builder.addMap(1, { op: 'Relu', inputs: [conv.tensor] }, conv);
  return writeOnnx(builder.build('small', [relu.tensor]));
}

/** An image with shapes at other places for each number. */
export function drawnImage(number: number, format: 'jpeg' | 'png' | 'webp' = 'png'): Promise<Buffer> {
  const size = { width: 320, height: 240 };
  return sharp(drawFrame(number, size), { raw: { ...size, channels: 3 } })
    .toFormat(format)
    .toBuffer();
}

/** A PNG image of noise. */
export function smallPng({ width, height }: { width: number; height: number }): Promise<Buffer> {
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 40 };
  return sharp({ create: { width, height, channels: 3, background: 'grey', noise } })
    .png()
    .toBuffer();
}
