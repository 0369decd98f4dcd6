/**
 * Makes a snapshot: reads an image, draws shapes into it, and encodes it as JPEG.
 *
 * Memory: what decoding the same image for a run takes, then the pixels of the snapshot and its JPEG.
 */
import type { ImageSource, Sent, SentSnapshot } from '../wire/protocol.js';
import { release } from '../wire/typed-array.js';
import type { IncomingBytes } from './bytes-pipe.js';
import { drawShape } from './draw-shape.js';
import type { RawImage } from './image.js';
import { encodeJpeg } from './image.js';
import { MIN_EDGE } from './image-size.js';
import { readFitted } from './read-image.js';

/** What the quality is lowered by where a picture takes too many bytes, and the lowest one that is tried. */
const QUALITY = { step: 15, least: 10 } as const;

/** @throws {RangeError | SyntaxError} naming the image, if it can't be used, or doesn't fit into the bytes. */
export async function makeSnapshot(
  { image, shapes, limits }: SentSnapshot,
  bytes: IncomingBytes,
): Promise<Uint8Array> {
  const picture = await readPicture(image, { bytes, width: limits.width });
  try {
    for (const shape of shapes) drawShape(picture, shape);
    return await encodeWithin(picture, limits);
  } finally {
    release(picture.data);
  }
}

interface PictureOptions {
  readonly bytes: IncomingBytes;
  /** Most columns. */
  readonly width: number;
}

/** The whole image, shrunk to the width if it is wider. */
async function readPicture(
  image: Sent<ImageSource>,
  { bytes, width: most }: PictureOptions,
): Promise<RawImage> {
  let size = { width: 0, height: 0 };
  const { data } = await readFitted(image, {
    bytes,
    targetFor: ({ width, height }) => {
      const scale = Math.min(1, most / width);
      const shrunk = (length: number) => Math.max(MIN_EDGE, Math.round(length * scale));
      size = { width: shrunk(width), height: shrunk(height) };
      return { ...size, channels: 3, resize: 'stretch' };
    },
  });
  return { ...size, data, channels: 3 };
}

async function encodeWithin(
  picture: RawImage,
  { quality: best, maxBytes }: SentSnapshot['limits'],
): Promise<Uint8Array> {
  for (let quality = best; quality >= QUALITY.least; quality -= QUALITY.step) {
    const jpeg = await encodeJpeg(picture, quality);
    if (jpeg.byteLength <= maxBytes) return jpeg;
  }
  throw new RangeError(
    `Cannot make a snapshot of ${picture.width}x${picture.height} in ${maxBytes} bytes, not even at low quality`,
  );
}
