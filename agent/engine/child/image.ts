/**
 * Decodes images to raw bytes, and encodes snapshots. The only file that touches sharp (libvips).
 *
 * It runs in the executor process, because encoded images come from cameras and strangers. The header is
 * checked before anything is decoded, and decoding is streamed into the resize. So memory is bounded whatever
 * the file claims.
 */
import { createRequire } from 'node:module';
import type { Sharp, SharpConstructor } from 'sharp';
import type { Size } from '../wire/shown-size.js';
import { checkSize, MAX_INTERLACED_PIXELS, MAX_PIXELS } from './image-size.js';
import type { Orientation } from './orientation.js';
import { turnSize } from './orientation.js';

/** Loaded as CommonJS: as an ES module it leaves 2 MB more on the heap (bench/idle). */
const sharp: SharpConstructor = createRequire(import.meta.url)('sharp');

const FORMATS = ['jpeg', 'png', 'webp'];

/** An image in memory: bytes row by row, channels interleaved. */
export interface RawImage extends Size {
  readonly data: Uint8Array;
  readonly channels: 1 | 3 | 4;
}

// Images come one at a time and none is kept: libvips' caches and threads would only take memory.
sharp.cache(false);
sharp.concurrency(1);

/** An image's encoded bytes, or the path of its file. */
export type Encoded = Uint8Array | string;

export interface Header extends Size {
  /** How it has to be turned. The size is that of the image upright. */
  readonly orientation: Orientation;
}

/** What an encoded image is. Only its header is read. @throws {RangeError | SyntaxError} if it can't be used. */
export async function readHeader(encoded: Encoded, name: string): Promise<Header> {
  const header = sharp(encoded, { limitInputPixels: false });
  const {
    width,
    height,
    format,
    isProgressive,
    orientation = 1,
  } = await header.metadata().catch((error: unknown) => {
    throw new SyntaxError(`Cannot read image ${name}: ${reasonOf(error)}; expected ${FORMATS.join(', ')}`);
  });
  if (!FORMATS.includes(format)) {
    throw new SyntaxError(`Cannot read image ${name}: format ${format}, expected ${FORMATS.join(', ')}`);
  }
  const limit = isProgressive
    ? { most: MAX_INTERLACED_PIXELS, kind: 'interlaced pixels' }
    : { most: MAX_PIXELS, kind: 'pixels' };
  checkSize({ width, height }, { name, ...limit });
  return { ...turnSize({ width, height }, orientation), orientation };
}

export interface DecodeOptions {
  /** Size to which a large image is shrunk while it is decoded; undefined for its own. */
  readonly shrunk: Size | undefined;
  readonly channels: RawImage['channels'];
}

/** Decodes an image, which isn't turned. @throws {Error} if it is broken, or lacks the channels that the network takes. */
export function decodeImage(encoded: Encoded, options: DecodeOptions): Promise<RawImage> {
  const checks = { limitInputPixels: MAX_PIXELS, sequentialRead: true, failOn: 'error' } as const;
  return toRaw(sharp(encoded, checks), options);
}

/** The same for pixels: RGB, row by row. */
export function convertPixels(pixels: Uint8Array, size: Size, options: DecodeOptions): Promise<RawImage> {
  const { width, height } = size;
  return toRaw(sharp(pixels, { raw: { width, height, channels: 3 } }), options);
}

async function toRaw(image: Sharp, { shrunk, channels }: DecodeOptions): Promise<RawImage> {
  // A picture without alpha is opaque.
  const layered = channels === 4 ? image.ensureAlpha() : image.removeAlpha();
  const sized =
    shrunk === undefined
      ? layered
      : layered.resize(shrunk.width, shrunk.height, { fit: 'fill', kernel: 'cubic' });
  const colours = channels === 1 ? toGrey(sized) : sized.toColourspace('srgb');
  const { data, info } = await colours.raw().toBuffer({ resolveWithObject: true });
  if (info.channels !== channels)
    throw new RangeError(`it has ${info.channels} channels, expected ${channels}`);
  return { data, width: info.width, height: info.height, channels };
}

/** Weights of red, green and blue in the brightness that networks are trained with (ITU-R BT.601). */
const LUMA: [number, number, number] = [0.299, 0.587, 0.114];

/** Grey as Pillow and OpenCV make it. libvips' own weighs linear light: red is 127 there, not 76. */
function toGrey(image: Sharp): Sharp {
  const weighed = image.recomb([LUMA, LUMA, LUMA]);
  // Values are cut off to whole ones, so half a one more rounds.
  return weighed.linear(1, 0.5).extractChannel(0).toColourspace('b-w');
}

/** Encodes pixels as JPEG. @param quality 1 to 100. */
export function encodeJpeg(
  { data, width, height, channels }: RawImage,
  quality: number,
): Promise<Uint8Array> {
  return sharp(data, { raw: { width, height, channels } }).jpeg({ quality }).toBuffer();
}

/** The first line of an error. The others of sharp's messages are libvips' own and say no more. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/\n.*/s, '');
}
