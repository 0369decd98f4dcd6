/**
 * Darknet configs of the networks that `model synth` can make.
 *
 * Source: Redmon and Farhadi, YOLO9000, table 6 (Darknet-19), and Darknet's detection heads on it.
 */

const CONVOLUTION = 'stride=1\npad=1';

/**
 * Layers from notation: `512x3` is a batch-normalised leaky convolution of 512 filters of size 3, `pool`
 * halves the map.
 */
function expand(notation: string): string {
  return notation.trim().split(/\s+/).map(expandLayer).join('\n');
}

function expandLayer(word: string): string {
  if (word === 'pool') return '[maxpool]\nsize=2\nstride=2';
  if (word === 'pool1') return '[maxpool]\nsize=2\nstride=1';
  const [filters, size] = word.split('x');
  return `[convolutional]\nbatch_normalize=1\nfilters=${filters}\nsize=${size}\n${CONVOLUTION}\nactivation=leaky`;
}

/** Darknet's detection head for COCO: 80 classes, and 5 anchors whose sizes are in cells of the map. */
const HEAD = `[convolutional]
size=1
${CONVOLUTION}
filters=425
activation=linear
[region]
anchors=0.57273,0.677385, 1.87446,2.06253, 3.33843,5.47434, 7.88282,3.52778, 9.77052,9.16828
classes=80
coords=4
num=5
softmax=1`;

const NET = '[net]\nwidth=416\nheight=416\nchannels=3';

const YOLOV2 = [
  NET,
  expand('32x3 pool 64x3 pool 128x3 64x1 128x3 pool 256x3 128x1 256x3 pool 512x3 256x1 512x3 256x1 512x3'),
  expand('pool 1024x3 512x1 1024x3 512x1 1024x3 1024x3 1024x3'),
  '[route]\nlayers=-9',
  expand('64x1'),
  '[reorg]\nstride=2\n[route]\nlayers=-1,-4',
  expand('1024x3'),
  HEAD,
];

const YOLOV2_TINY = [
  NET,
  expand('16x3 pool 32x3 pool 64x3 pool 128x3 pool 256x3 pool 512x3 pool1 1024x3 512x3'),
  HEAD,
];

/** Configs by name. */
export const DEFINITIONS: ReadonlyMap<string, string> = new Map(
  Object.entries<string>({
    yolov2: YOLOV2.join('\n'),
    'yolov2-tiny': YOLOV2_TINY.join('\n'),
  }),
);
