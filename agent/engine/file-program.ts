/** A program that runs an ONNX file as it is, untouched by our passes: what an imported model is compared with. */
import { dirname } from 'node:path';
import type { Graph, Tensor } from '../../shared/graph/index.js';
import { present } from '../../shared/graph/index.js';
import type { RunSettings } from '../../shared/predict/index.js';
import type { ImageInput, MapSpec, Program } from './wire/protocol.js';

export interface OnnxFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface FileProgramOptions {
  /** Graph of the model that was imported from the file, whose first input is the image; the outputs have the file's names. */
  readonly graph: Graph;
  readonly input: ImageInput;
  /** The file's other inputs, with their values. */
  readonly constants: readonly Tensor[];
  readonly settings: RunSettings;
}

/** The file as one session, run once on the whole image. */
export function programOfFile(
  { path, bytes }: OnnxFile,
  { graph, input, constants, settings }: FileProgramOptions,
): Program {
  const image = graph.inputs.slice(0, 1);
  const outputs = graph.outputs.map((index) => present(graph.tensors[index], 'output'));
  const feeds = [...image.map((index) => present(graph.tensors[index], 'image')), ...constants];
  const bindings = [...feeds, ...outputs].map(({ name }, map) => ({ name, map }));
  const fetches = bindings.slice(feeds.length);
  return {
    isImported: false,
    folder: dirname(path),
    settings,
    input,
    maps: [...feeds, ...outputs].map(mapOf),
    constants: constants.flatMap(({ constant }, at) =>
      constant?.kind === 'inline' ? [{ map: at + 1, bytes: constant.bytes }] : [],
    ),
    segments: [
      {
        sessions: [{ model: bytes, feeds: bindings.slice(0, feeds.length), fetches, carries: [] }],
        steps: [
          {
            ...{ session: 0, phase: null, carries: 0 },
            ...{ reads: feeds.map(() => null), writes: outputs.map(() => null) },
          },
        ],
        frees: [0],
      },
    ],
    outputs: fetches,
  };
}

/** Maps that are read and written whole take the shape that they have. */
function mapOf({ dtype, shape }: Tensor): MapSpec {
  return { dtype, shape: shape ?? [], preallocated: false, ringRows: null };
}
