/** The ONNX file that a model was imported from, if it is still there as it was. */
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { Tensor } from '../../shared/graph/index.js';
import { tensorAt } from '../../shared/graph/index.js';
import { parseOnnx } from '../../shared/onnx/index.js';
import { constantOf } from './image-input.js';
import type { InputSpec, Manifest } from './manifest.js';
import { readInputFile } from './read-input.js';

export type Origin = NonNullable<Extract<Manifest['source'], { kind: 'onnx' }>['origin']>;

/** Where a file is, and what it holds. */
export function originOf(path: string, bytes: Uint8Array): Origin {
  return { path: resolve(path), digest: digestOf(bytes) };
}

export interface ImportedFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/**
 * @param path Where the file is now, if it was moved.
 * @throws {RangeError} if it isn't there, isn't the one that was imported, or if it isn't known which one was.
 */
export async function readImportedFile({ source }: Manifest, path?: string): Promise<ImportedFile> {
  if (source.kind !== 'onnx') throw new RangeError(`the model wasn't imported from an ONNX file`);
  const { origin } = source;
  if (origin === undefined) throw new RangeError('the model was imported by a version that kept no digest');
  const place = path ?? origin.path;
  const bytes = await readInputFile(place);
  const digest = digestOf(bytes);
  if (digest === origin.digest) return { path: resolve(place), bytes };
  throw new RangeError(
    `${place} isn't the file that was imported: it has ${digest}, expected ${origin.digest}`,
  );
}

/** The inputs of a file beside the image, at this size of the image. */
export function fixedTensors(
  { bytes }: ImportedFile,
  { manifest, input }: { readonly manifest: Manifest; readonly input: InputSpec },
): readonly Tensor[] {
  const { fixedInputs = [] } = manifest;
  if (fixedInputs.length === 0) return [];
  const graph = parseOnnx(bytes);
  const tensors = graph.inputs.map((index) => tensorAt(graph, index));
  return fixedInputs.flatMap((spec) => {
    const tensor = tensors.find(({ name }) => name === spec.name);
    return tensor === undefined ? [] : [constantOf(tensor, spec, input)];
  });
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
