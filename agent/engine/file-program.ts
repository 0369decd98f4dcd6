/** A program that runs an ONNX file as it is, untouched by our passes: what an imported model is compared with. */
import { dirname } from 'node:path';
import type { Graph } from '../../shared/graph/index.js';
import { elementAt, tensorAt } from '../../shared/graph/index.js';
import type { RunSettings } from '../../shared/predict/index.js';
import type { ImageInput, Program } from './wire/protocol.js';

export interface OnnxFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface FileProgramOptions {
  /** Graph of the model that was imported from it. Inputs and outputs are those of the file. */
  readonly graph: Graph;
  readonly input: ImageInput;
  readonly settings: RunSettings;
}

/** The file as one session, run once on the whole image. */
export function programOfFile(
  { path, bytes }: OnnxFile,
  { graph, input, settings }: FileProgramOptions,
): Program {
  const { shape, dtype } = tensorAt(graph, elementAt(graph.inputs, 0));
  const outputs = graph.outputs.map((index) => tensorAt(graph, index));
  const fetches = outputs.map(({ name }, at) => ({ name, map: at + 1 }));
  const reads = [null];
  const writes = outputs.map(() => null);
  return {
    folder: dirname(path),
    settings,
    input,
    maps: [
      { shape: shape ?? [], dtype },
      ...outputs.map((output) => ({ ...output, shape: output.shape ?? [] })),
    ].map((map) => ({ dtype: map.dtype, shape: map.shape, preallocated: false, ringRows: null })),
    segments: [
      {
        sessions: [{ model: bytes, feeds: [{ name: input.name, map: 0 }], fetches, carries: [] }],
        steps: [{ session: 0, phase: null, carries: 0, reads, writes }],
        frees: [0],
      },
    ],
    outputs: fetches,
  };
}
