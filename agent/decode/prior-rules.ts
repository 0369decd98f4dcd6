/** Priors by the rules that networks with priors were published with. Sizes are in pixels of the input. */
import type { Size } from './box-decoder.js';
import { gridOf } from './box-decoder.js';

/** Priors of one map, of which each cell has all sizes. */
export interface PriorLevel {
  readonly step: number;
  readonly sizes: readonly Size[];
}

export function priorCount(size: Size, levels: readonly PriorLevel[]): number {
  return levels.reduce((sum, { step, sizes }) => {
    const { rows, cols } = gridOf(size, step);
    return sum + rows * cols * sizes.length;
  }, 0);
}

/** Pytorch_Retinaface, data/config.py: the same for MobileNet and ResNet. */
export const RETINAFACE_PRIORS = squares({ 8: [16, 32], 16: [64, 128], 32: [256, 512] });

/** Face-Detector-1MB-with-landmark, data/config.py, of its networks slim and RFB. */
export const SLIM_PRIORS = squares({ 8: [10, 16, 24], 16: [32, 48], 32: [64, 96], 64: [128, 192, 256] });

/** ssd.pytorch, data/config.py: SSD300 for VOC's 20 classes. */
export const SSD_VOC_PRIORS = ssdPriors([30, 60, 111, 162, 213, 264, 315]);

/** The same for COCO. DeepLearningExamples of NVIDIA, SSD, has these, too. */
export const SSD_COCO_PRIORS = ssdPriors([21, 45, 99, 153, 207, 261, 315]);

function squares(sides: Readonly<Record<number, readonly number[]>>): readonly PriorLevel[] {
  return Object.entries(sides).map(([step, lengths]) => {
    return { step: Number(step), sizes: lengths.map((length) => ({ width: length, height: length })) };
  });
}

/**
 * SSD300's rule (Liu et al. 2016, 2.2): a square of the level's scale, one between it and the next level's, and for each
 * ratio a wide and a high rectangle of the scale's area.
 */
function ssdPriors(scales: readonly number[]): readonly PriorLevel[] {
  const levels: readonly (readonly [step: number, ratios: readonly number[]])[] = [
    [8, [2]],
    [16, [2, 3]],
    [32, [2, 3]],
    [64, [2, 3]],
    [100, [2]],
    [300, [2]],
  ];
  return levels.map(([step, ratios], at) => {
    const [scale = 0, next = 0] = scales.slice(at, at + 2);
    const between = Math.sqrt(scale * next);
    const rectangles = ratios.flatMap((ratio) => {
      const [long, short] = [scale * Math.sqrt(ratio), scale / Math.sqrt(ratio)];
      return [
        { width: long, height: short },
        { width: short, height: long },
      ];
    });
    const [square, larger] = [scale, between].map((side) => ({ width: side, height: side }));
    return { step, sizes: [square, larger, ...rectangles].filter((size) => size !== undefined) };
  });
}
