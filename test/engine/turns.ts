/** A network, its plans, and inputs to run on by turns. */

import { readFileSync } from 'node:fs';
import type { ExecutorClient } from '../../agent/engine/executor-client.js';
import type { ImageSource, TensorSource } from '../../agent/engine/wire/protocol.js';
import { mulberry32 } from '../../shared/darknet/index.js';
import { graphOf } from '../notation.js';
import { imageInputOf } from '../run-in-process.js';

/** A network with outputs of three sizes, one of which is read again later. */
export const TURNS_GRAPH = graphOf('3x48x40: c8k3p1 r ! m2s2 c16k3p1 ! c8k3p1 u2 &2 c8k3p1');
export const TURNS_INPUT = imageInputOf(TURNS_GRAPH);
export const TURNS_PLANS = [
  'whole',
  '2x2',
  'stream4',
  '1x2:stream2',
  '2x2 | 3 | whole',
  'stream4 > 3 > stream2',
] as const;

type Pixels = Extract<ImageSource, { kind: 'pixels' }>;

/** Noise, by default at the network's size. */
export function pixelsOf(
  seed: number,
  { width, height }: Pick<Pixels, 'width' | 'height'> = TURNS_INPUT,
): Pixels {
  const random = mulberry32(seed);
  const bytes = Uint8Array.from({ length: 3 * width * height }, () => Math.floor(random() * 256));
  return { kind: 'pixels', name: `noise ${seed}`, width, height, bytes };
}

export function tensorOf(seed: number): TensorSource {
  const { width, height } = TURNS_INPUT;
  const random = mulberry32(seed);
  const values = Float32Array.from({ length: 3 * width * height }, () => 2 * random() - 1);
  return {
    kind: 'tensor',
    dtype: 'float32',
    shape: [1, 3, height, width],
    bytes: new Uint8Array(values.buffer),
  };
}

/** Whether an executor's process can release memory: before Node 21 it takes a flag. */
export function isReleasing({ pid }: ExecutorClient): boolean {
  const [major = 0] = process.versions.node.split('.').map(Number);
  const isFlagged = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--harmony-rab-gsab-transfer');
  return major >= 21 || isFlagged;
}
