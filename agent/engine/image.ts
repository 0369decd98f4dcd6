/**
 * The only file that touches sharp (libvips). Runs in the executor process: encoded images come from
 * cameras and strangers. The header is checked before anything is decoded, and decoding is streamed into
 * the resize, so that memory is bounded whatever the file claims.
 */
import type { Sharp } from 'sharp';
import sharp from 'sharp';
import type { ImageInput, ImageSource } from './protocol.js';

/** 2^26 pixels: above any camera that feeds a small board, and 1/4 of what sharp would accept. */
export const MAX_PIXELS = 2 ** 26;

/** An image of one row or column has nothing to be resized from. */
export const MIN_EDGE = 2;

const FORMATS = ['jpeg', 'png', 'webp'];

export interface DecodedImage {
  /** Bytes row by row, channels interleaved, at the network's input size. */
  readonly data: Uint8Array;
  /** Size of the image as given. */
  readonly width: number;
  readonly height: number;
}

// One image at a time, nothing kept: latency is in the network, and libvips' caches are memory.
sharp.cache(false);
sharp.concurrency(1);

/** @throws {RangeError | SyntaxError} naming the image, if it is too large, too small or not an image. */
export async function decodeImage(source: ImageSource, input: ImageInput): Promise<DecodedImage> {
  const name = source.kind === 'file' ? source.path : source.name;
  const image = sharp(source.kind === 'file' ? source.path : source.bytes, {
    limitInputPixels: MAX_PIXELS,
    sequentialRead: true,
    failOn: 'error',
  });
  const { width, height } = await readHeader(image, name);
  const { data, info } = await resized(image, input)
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch((error: unknown) => {
      throw new SyntaxError(`Cannot decode image ${name}: ${reasonOf(error)}`);
    });
  if (info.channels !== input.channels || data.length !== input.width * input.height * input.channels) {
    throw new SyntaxError(`Cannot decode image ${name}: got ${info.channels} channels, expected ${input.channels}`);
  }
  return { data, width, height };
}

async function readHeader(image: Sharp, name: string): Promise<{ width: number; height: number }> {
  const { width, height, format } = await image.metadata().catch((error: unknown) => {
    throw new SyntaxError(`Cannot read image ${name}: ${reasonOf(error)}, expected ${FORMATS.join(', ')}`);
  });
  if (!FORMATS.includes(format)) {
    throw new SyntaxError(`Cannot read image ${name}: format ${format}, expected ${FORMATS.join(', ')}`);
  }
  if (width * height > MAX_PIXELS) {
    throw new RangeError(`Cannot read image ${name}: ${width}x${height} pixels, expected at most ${MAX_PIXELS} in all`);
  }
  if (width < MIN_EDGE || height < MIN_EDGE) {
    throw new RangeError(`Cannot read image ${name}: ${width}x${height} pixels, expected at least ${MIN_EDGE}x${MIN_EDGE}`);
  }
  return { width, height };
}

function resized(image: Sharp, { width, height, channels, resize }: ImageInput): Sharp {
  const grey = { r: 128, g: 128, b: 128 };
  const coloured = image
    .removeAlpha()
    .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    .resize(width, height, { fit: resize === 'stretch' ? 'fill' : 'contain', background: grey, kernel: 'linear' });
  return channels === 1 ? coloured.extractChannel(0) : coloured;
}

/** sharp's messages end in lines of libvips' own; the first says what is wrong. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n')[0] ?? message;
}
