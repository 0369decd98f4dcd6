/** Pictures of what a network gives, for those who ask for a PNG. */
import type { RunResult } from '../engine/wire/protocol.js';
import { CLASS_COLOURS } from '../picture/class-colours.js';
import type { Picture } from '../picture/encode-png.js';
import { cropCells } from './class-map.js';
import type { ClassCells } from './class-map-decoder.js';
import { readClassCells } from './class-map-decoder.js';
import type { DecodeOptions } from './decode-outputs.js';
import type { Decoder } from './decoder-schema.js';
import { pictureSize, showImage } from './image-decoder.js';
import { readOutput } from './read-output.js';
import type { Fitted } from './shown-cells.js';
import { shownCells } from './shown-cells.js';

/** Whether a network's outputs can be shown as a picture. */
export function givesPicture({ kind }: Decoder): boolean {
  return kind === 'class-map' || kind === 'image';
}

/**
 * The picture of a run's outputs, without the margins of the input. The pixels of a class map are the numbers of classes.
 * @throws {RangeError} if the decoder gives none, or the outputs have another shape than model.yaml says.
 */
export function pictureOf({ image, outputs }: RunResult, { manifest, input }: DecodeOptions): Picture {
  const { decoder } = manifest;
  switch (decoder.kind) {
    case 'class-map':
      return showClasses(readClassCells(decoder, readOutput(outputs, decoder.output)), { image, input });
    case 'image': {
      const output = readOutput(outputs, decoder.output);
      const { rows, cols } = pictureSize(decoder, output);
      const { cells } = shownCells({ width: cols, height: rows }, { image, input });
      return showImage(decoder, output, { cells, input: manifest.input });
    }
    default:
      throw new RangeError(`Cannot make a PNG: the decoder is ${decoder.kind}, expected class-map or image`);
  }
}

function showClasses(map: ClassCells, fitted: Fitted): Picture {
  const { cells } = shownCells({ width: map.cols, height: map.rows }, fitted);
  const shown = cropCells(map, cells);
  return {
    ...{ width: shown.cols, height: shown.rows, channels: 1, palette: CLASS_COLOURS },
    row: (y) => shown.cells.subarray(y * shown.cols, (y + 1) * shown.cols),
  };
}
