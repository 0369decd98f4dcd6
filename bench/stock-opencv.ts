/**
 * Runs a Darknet network by OpenCV's dnn module, for which Debian's python3-opencv is needed. The program is asked by
 * lines of JSON, as stock-process.ts is. The benches leave OpenCV out if it isn't installed.
 */

import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ConvolutionShape, ConvolutionWeights, WeightSource } from '../shared/darknet/index.js';
import { buildDarknet, parseDarknetConfig, SyntheticWeights } from '../shared/darknet/index.js';
import type { DarknetNetworkSpec } from './networks.js';
import type { ProgramSpec } from './stock-client.js';

/** Debian's Python, which finds Debian's packages. The first python3 of the path may be another one. */
const PYTHON = '/usr/bin/python3';

/** Program that loads and runs the network. It is idle after its first use of cv2. */
const PROGRAM = `
import base64, json, sys, time
import cv2, numpy
config, weights, size, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
cv2.setNumThreads(threads)
cv2.dnn.blobFromImage(numpy.zeros((8, 8, 3), numpy.uint8))
net = blob = None
def answer(ask):
    global net, blob
    if ask == 'load':
        net = cv2.dnn.readNetFromDarknet(config, weights)
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
        net.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)
        blob = numpy.random.default_rng(7).random((1, 3, size, size), numpy.float32)
        return {}
    start = time.perf_counter()
    net.setInput(blob)
    net.forward(net.getUnconnectedOutLayersNames())
    return {'latencyMs': (time.perf_counter() - start) * 1000}
print('{}', flush=True)
for line in sys.stdin:
    try:
        said = answer(json.loads(line)['ask'])
    except Exception as error:
        said = {'error': str(error)}
    print(json.dumps(said), flush=True)
`;

/** Version of OpenCV, or undefined if it isn't installed. */
export async function findOpenCv(): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(PYTHON, ['-c', 'import cv2; print(cv2.__version__)']);
    return stdout.trim();
  } catch {
    // There is no python3, or it has no cv2.
    return undefined;
  }
}

export interface OpenCvFiles {
  readonly config: string;
  readonly weights: string;
  readonly size: number;
}

export function openCvProgram({ config, weights, size }: OpenCvFiles, threads: number): ProgramSpec {
  return { command: PYTHON, args: ['-c', PROGRAM, config, weights, String(size), String(threads)], env: {} };
}

/** Writes the network's .cfg and .weights. The seed gives the same weights as the stored model has. */
export async function writeDarknetFiles(
  { text, layers, size }: DarknetNetworkSpec,
  { folder, seed }: { readonly folder: string; readonly seed: number },
): Promise<OpenCvFiles> {
  const to = layers?.to ?? Number.POSITIVE_INFINITY;
  const recorder = new RecordingWeights(seed);
  const sections = parseDarknetConfig(text).filter(({ layer }) => layer <= to);
  buildDarknet(sections, { weights: recorder, size: { width: size, height: size } });
  const files = { config: join(folder, 'net.cfg'), weights: join(folder, 'net.weights'), size };
  await writeFile(files.config, sizedText(text, { size, sections: sections.length }));
  await writeFile(files.weights, recorder.chunks);
  return files;
}

/** The first sections of a config with another input size. */
function sizedText(text: string, { size, sections }: { size: number; sections: number }): string {
  const parts = text.split(/^(?=\[)/m).slice(0, sections);
  return parts.join('').replace(/^(width|height)=\d+/gm, `$1=${size}`);
}

/**
 * Passes random weights on and keeps them in the layout of Darknet's file. A batch normalisation with mean 0 and
 * variance 1 leaves them as they are.
 */
class RecordingWeights implements WeightSource {
  readonly chunks: Uint8Array[] = [new Uint8Array(Int32Array.of(0, 2, 0, 0, 0).buffer)];
  readonly #source: SyntheticWeights;

  constructor(seed: number) {
    this.#source = new SyntheticWeights(seed);
  }

  take(shape: ConvolutionShape): ConvolutionWeights {
    const taken = this.#source.take(shape);
    const { filters, batchNormalize } = shape;
    const constant = (value: number) => new Float32Array(filters).fill(value);
    const norm = batchNormalize ? [constant(1), constant(0), constant(1)] : [];
    for (const values of [taken.biases, ...norm, taken.weights]) {
      this.chunks.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    return taken;
  }

  end(): void {
    this.#source.end();
  }
}
