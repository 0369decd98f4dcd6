/**
 * Builds a graph like YOLOv8n's: its backbone, its neck with all branches, and the convolutions of its heads. Weights are
 * random. Where YOLOv8 splits a map in two, two convolutions make the halves, which is the same work.
 * Source: ultralytics/cfg/models/v8/yolov8.yaml at scale n.
 */
import type { Feature, Graph } from '../shared/graph/index.js';
import { elementAt } from '../shared/graph/index.js';
import type { NetworkOptions } from './networks-graphs.js';
import { LayerBuilder } from './networks-graphs.js';

interface StageSpec {
  readonly filters: number;
  readonly blocks: number;
  /** Whether a block adds its input to its output. */
  readonly adds: boolean;
}

/** Channels of the heads: four sides of a box in 16 bins each, and 80 classes. */
const HEADS = [64, 80];

export function yoloV8({ size, seed }: NetworkOptions): Graph {
  const layers = new Yolo(seed);
  const stem = layers.down(layers.down(layers.image(size), 16), 32);
  const early = layers.stage(stem, { filters: 32, blocks: 1, adds: true });
  const p3 = layers.stage(layers.down(early, 64), { filters: 64, blocks: 2, adds: true });
  const p4 = layers.stage(layers.down(p3, 128), { filters: 128, blocks: 2, adds: true });
  const deep = layers.stage(layers.down(p4, 256), { filters: 256, blocks: 1, adds: true });
  const p5 = layers.pyramid(deep);
  const up4 = layers.join([layers.upsample(p5), p4], 128);
  const out3 = layers.join([layers.upsample(up4), p3], 64);
  const out4 = layers.join([layers.down(out3, 64), up4], 128);
  const out5 = layers.join([layers.down(out4, 128), p5], 256);
  return layers.build(
    [out3, out4, out5].flatMap((map) => HEADS.map((channels) => layers.head(map, channels))),
  );
}

class Yolo extends LayerBuilder {
  unit(input: Feature, filters: number, kernel = 3): Feature {
    return this.silu(this.convolution(input, { filters, kernel }));
  }

  /** Halves a map. */
  down(input: Feature, filters: number): Feature {
    return this.silu(this.convolution(input, { filters, kernel: 3, stride: 2 }));
  }

  /** Adds a stage (C2f): all its blocks' outputs are joined. */
  stage(input: Feature, { filters, blocks, adds }: StageSpec): Feature {
    const half = filters / 2;
    const maps = [this.unit(input, half, 1), this.unit(input, half, 1)];
    for (let block = 0; block < blocks; block += 1) {
      const before = elementAt(maps, maps.length - 1);
      const after = this.unit(this.unit(before, half), half);
      maps.push(adds ? this.add(after, before) : after);
    }
    return this.unit(this.concat(maps), filters, 1);
  }

  /** Adds pools of growing reach (SPPF). */
  pyramid(input: Feature): Feature {
    const maps = [this.unit(input, input.channels / 2, 1)];
    for (let pool = 0; pool < 3; pool += 1)
      maps.push(this.maxPool(elementAt(maps, pool), { kernel: 5, stride: 1 }));
    return this.unit(this.concat(maps), input.channels, 1);
  }

  join(maps: readonly Feature[], filters: number): Feature {
    return this.stage(this.concat(maps), { filters, blocks: 1, adds: false });
  }

  head(input: Feature, channels: number): Feature {
    const hidden = Math.max(64, channels);
    return this.convolution(this.unit(this.unit(input, hidden), hidden), { filters: channels, kernel: 1 });
  }
}
