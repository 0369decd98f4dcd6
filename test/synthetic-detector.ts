/**
 * A small detector in Darknet's files, with random weights. It has the kinds of layers of detectors for boards.
 * Its detections mean nothing, but differ from image to image, and are the same for the same image.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ConvolutionShape, ConvolutionWeights, WeightSource } from '../shared/darknet/index.js';
import { buildDarknet, parseDarknetConfig, SyntheticWeights } from '../shared/darknet/index.js';

/** Edge of its input in pixels. */
export const DETECTOR_SIZE = 160;

const LABELS = ['disc', 'square', 'wedge'];

/** Last convolution: its layer, and the floats of its 24 biases and 24 filters of 64 channels. */
export const LAST_CONVOLUTION = { layer: 16, floats: 24 + 24 * 64 };

function convolution(filters: number, size: number, more = ''): string {
  return `[convolutional]\nbatch_normalize=1\nfilters=${filters}\nsize=${size}\npad=1\nactivation=leaky\n${more}`;
}

function head(mask: string): string {
  return `[convolutional]
filters=24
size=1
activation=linear
[yolo]
mask=${mask}
anchors=10,14, 23,27, 37,58, 81,82, 135,100, 140,150
num=6
classes=3`;
}

const CONFIG = [
  `[net]\nwidth=${DETECTOR_SIZE}\nheight=${DETECTOR_SIZE}\nchannels=3`,
  convolution(16, 3),
  '[maxpool]\nsize=2\nstride=2',
  convolution(32, 3),
  convolution(32, 3, 'groups=32'),
  convolution(32, 1),
  '[shortcut]\nfrom=-3\nactivation=linear',
  convolution(64, 3, 'stride=2'),
  convolution(64, 3, 'stride=2'),
  convolution(64, 3, 'stride=2'),
  head('3,4,5'),
  '[route]\nlayers=-3',
  convolution(32, 1),
  '[upsample]\nstride=2',
  '[route]\nlayers=-1,7',
  convolution(64, 3),
  head('0,1,2'),
].join('\n');

/** Writes configuration, weights and labels to a folder; returns their paths. */
export function writeDetector(folder: string) {
  const paths = {
    config: join(folder, 'detector.cfg'),
    weights: join(folder, 'detector.weights'),
    labels: join(folder, 'detector.names'),
  };
  writeFileSync(paths.config, CONFIG);
  writeFileSync(paths.weights, detectorWeights());
  writeFileSync(paths.labels, LABELS.join('\n'));
  return paths;
}

/** A header of version 0.2, then the floats. */
function detectorWeights(): Uint8Array {
  const recorder = new WeightRecorder(new SyntheticWeights(1));
  buildDarknet(parseDarknetConfig(CONFIG), { name: 'detector', weights: recorder });
  const header = Buffer.alloc(20);
  header.writeInt32LE(2, 4);
  return Buffer.concat([header, ...recorder.parts]);
}

/** Keeps weights in the order of the file: biases, (scales, means, variances,) filters. */
class WeightRecorder implements WeightSource {
  readonly parts: Uint8Array[] = [];
  readonly #source: WeightSource;

  constructor(source: WeightSource) {
    this.#source = source;
  }

  take(shape: ConvolutionShape): ConvolutionWeights {
    const taken = this.#source.take(shape);
    const every = (value: number) => new Float32Array(shape.filters).fill(value);
    const normalization = shape.batchNormalize ? [every(1), every(0), every(1)] : [];
    for (const { buffer } of [taken.biases, ...normalization, taken.weights])
      this.parts.push(new Uint8Array(buffer));
    return taken;
  }

  end(): void {
    this.#source.end();
  }
}
