/** Names an optimised model by a digest of everything that its content depends on. */

import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Constant, Graph } from '../../../shared/graph/index.js';
import { tensorAt } from '../../../shared/graph/index.js';
import { parseOnnx } from '../../../shared/onnx/index.js';
import type { Level } from '../../../shared/predict/index.js';
import { DISABLED_IN_SEGMENTS, MIN_MAPPED_BYTES } from './optimizer-settings.js';

/** Version of the saved form, raised when models are saved in another way. */
const FORMAT = 3;

export interface ModelSource {
  /** ONNX bytes of a segment. */
  readonly model: Uint8Array;
  /** Folder of its external weights. */
  readonly folder: string;
  readonly level: Level;
}

export interface OptimizedKey {
  /** Short hexadecimal digest. */
  readonly name: string;
  /** External weights of the segment, in bytes. */
  readonly weightsBytes: number;
  /** Size of the files they are in, in bytes. */
  readonly storedBytes: number;
}

/**
 * The key of a segment's model; undefined if no convolution has external weights, since nothing is copied
 * then.
 *
 * The weights enter the key by file, size, time and inode. Reading them all at each load would take seconds
 * from an SD card. Stored models are replaced by renaming and never written in place, so that a change shows.
 */
export async function keyOf(source: ModelSource, machine: string): Promise<OptimizedKey | undefined> {
  const weights = externalWeights(parseOnnx(source.model));
  if (weights.length === 0) return undefined;
  const files = await statFiles(source.folder, [...new Set(weights.map(({ location }) => location))]);
  const about = JSON.stringify([
    FORMAT,
    machine,
    source.level,
    DISABLED_IN_SEGMENTS,
    MIN_MAPPED_BYTES,
    files,
  ]);
  return {
    name: createHash('sha256').update(about).update(source.model).digest('hex').slice(0, 32),
    weightsBytes: weights.reduce((sum, { length }) => sum + length, 0),
    storedBytes: files.reduce((sum, { size }) => sum + size, 0),
  };
}

type ExternalConstant = Extract<Constant, { kind: 'external' }>;

/** All external weights, if a convolution reads one of them; else none. */
function externalWeights(graph: Graph): readonly ExternalConstant[] {
  const externalAt = (index: number) => {
    // An optional input that is left out has index -1.
    const constant = index < 0 ? null : tensorAt(graph, index).constant;
    return constant?.kind === 'external' ? constant : undefined;
  };
  const isBlocked = graph.nodes.some(({ op, inputs }) => op === 'Conv' && inputs.some(externalAt));
  return isBlocked ? graph.tensors.flatMap((_, index) => externalAt(index) ?? []) : [];
}

function statFiles(folder: string, locations: readonly string[]) {
  return Promise.all(
    locations.map(async (location) => {
      const { size, mtimeMs, ino } = await stat(join(folder, location));
      return { location, size, mtimeMs, ino };
    }),
  );
}
