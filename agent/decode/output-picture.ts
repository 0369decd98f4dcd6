/** Pictures of what a network gives, for those who ask for a PNG. */
import type { RunResult } from '../engine/wire/protocol.js';
import { CLASS_COLOURS } from '../picture/class-colours.js';
import type { Picture } from '../picture/encode-png.js';
import { cropCells } from './class-map.js';
import { readClassCells } from './class-map-decoder.js';
import type { DecodeOptions } from './decode-outputs.js';
import type { Decoder } from './decoder-schema.js';
import { readOutput } from './read-output.js';
import { shownCells } from './shown-cells.js';

/** Whether a network's outputs can be shown as a picture. */
export function givesPicture({ kind }: Decoder): boolean {
  return kind === 'class-map';
}

/**
 * The picture of a run's outputs, without the margins of the input. The pixels of a class map are the numbers of classes.
 * @throws {RangeError} if the decoder gives none, or the outputs have another shape than model.yaml says.
 */
export function pictureOf({ image, outputs }: RunResult, { manifest, input }: DecodeOptions): Picture {
  const { decoder } = manifest;
  if (decoder.kind !== 'class-map')
    throw new RangeError(`Cannot make a PNG: the decoder is ${decoder.kind}, expected class-map`);
  const map = readClassCells(decoder, readOutput(outputs, decoder.output));
  const { cells } = shownCells({ width: map.cols, height: map.rows }, { image, input });
  const shown = cropCells(map, cells);
  return {
    ...{ width: shown.cols, height: shown.rows, channels: 1, palette: CLASS_COLOURS },
    row: (y) => shown.cells.subarray(y * shown.cols, (y + 1) * shown.cols),
  };
}
