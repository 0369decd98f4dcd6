/**
 * Makes a snapshot: reads an image, draws shapes into it, and encodes it as JPEG.
 *
 * Memory: what decoding the same image for a run takes, then the pixels of the snapshot and its JPEG.
 */
import type { ImageSource, Sent, SentSnapshot } from '../wire/protocol.js';
import { shownPart } from '../wire/shown-size.js';
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
  const picture = await readPicture(image, bytes, limits.width);
  try {
    for (const shape of shapes) drawShape(picture, shape);
    return await encodeWithin(picture, limits);
  } finally {
    release(picture.data);
  }
}

/** The whole image, shrunk to the width if it is wider. */
async function readPicture(image: Sent<ImageSource>, bytes: IncomingBytes, most: number): Promise<RawImage> {
  const fitted = image.kind === 'pixels' ? image.fittedFrom : undefined;
  const [own, ownBytes] = withoutMargins(image, bytes);
  let size = { width: 0, height: 0 };
  const { data } = await readFitted(own, {
    bytes: ownBytes,
    targetFor: (given) => {
      // A stretched frame gets its shape back.
      const height = fitted === undefined ? given.height : (given.width * fitted.height) / fitted.width;
      const scale = Math.min(1, most / given.width);
      const shrunk = (length: number) => Math.max(MIN_EDGE, Math.round(length * scale));
      size = { width: shrunk(given.width), height: shrunk(height) };
      return { ...size, channels: 3, resize: 'stretch' };
    },
  });
  return { ...size, data, channels: 3 };
}

/** A frame that was fitted to a network, as an image of its own; any other image as it is. */
function withoutMargins(
  image: Sent<ImageSource>,
  bytes: IncomingBytes,
): readonly [Sent<ImageSource>, IncomingBytes] {
  if (image.kind !== 'pixels' || image.fittedFrom === undefined) return [image, bytes];
  const { fittedFrom: _, ...own } = image;
  const { left, top, width, height } = shownPart(image);
  const all = bytes.readAll();
  // In place, since a copy would cost as much again.
  for (let row = 0; row < height; row += 1) {
    const start = ((top + row) * image.width + left) * 3;
    all.copyWithin(row * width * 3, start, start + width * 3);
  }
  const byteCount = width * height * 3;
  return [{ ...own, width, height, byteCount }, new KeptBytes(all.subarray(0, byteCount))];
}

/** Bytes that were read already. */
class KeptBytes implements IncomingBytes {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(into: Uint8Array): void {
    into.set(this.#bytes.subarray(this.#at, this.#at + into.byteLength));
    this.#at += into.byteLength;
  }

  readAll(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }
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
