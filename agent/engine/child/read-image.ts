/**
 * Reads an image and brings it to the network's input size, or to that of a snapshot.
 *
 * Pixels are sampled while they come from the agent, row by row. An encoded image is decoded to one buffer, which is
 * released when its rows have been sampled.
 */
import type { ImageInput, ImageSource, Sent } from '../wire/protocol.js';
import type { Size } from '../wire/shown-size.js';
import { DARKNET_MARGIN, marginOf, seenPart, shownSize } from '../wire/shown-size.js';
import { release } from '../wire/typed-array.js';
import type { IncomingBytes } from './bytes-pipe.js';
import type { DecodeOptions, RawImage } from './image.js';
import { convertPixels, decodeImage, readHeader, reasonOf } from './image.js';
import { checkSize, MAX_PIXELS } from './image-size.js';
import type { Orientation } from './orientation.js';
import { turnedRows, turnSize } from './orientation.js';
import type { RowSource } from './sample-image.js';
import { sampleImage } from './sample-image.js';

export interface DecodedImage {
  /** Bytes row by row, channels interleaved, at the target's size. */
  readonly data: Uint8Array;
  /** Size of the image as given. */
  readonly width: number;
  readonly height: number;
}

/** Size and kind of pixels that an image is brought to; a part of a network's input. */
export type ImageTarget = Pick<ImageInput, 'width' | 'height' | 'channels' | 'resize' | 'margin'>;

/** Bytes of the source, and what they are brought to. */
export interface ReadOptions {
  readonly bytes: IncomingBytes;
  readonly input: ImageTarget;
}

export interface FitOptions {
  readonly bytes: IncomingBytes;
  /** What an image is brought to, by its size as given. */
  readonly targetFor: (given: Size) => ImageTarget;
}

/** @throws {RangeError | SyntaxError} naming the image, if it is too large, too small or not an image. */
export function readImage(source: Sent<ImageSource>, { bytes, input }: ReadOptions): Promise<DecodedImage> {
  return readFitted(source, { bytes, targetFor: () => input });
}

/** The same where the target depends on the image. @throws as `readImage`. */
export async function readFitted(source: Sent<ImageSource>, options: FitOptions): Promise<DecodedImage> {
  return source.kind === 'pixels' ? readPixels(source, options) : readEncoded(source, options);
}

type Pixels = Extract<Sent<ImageSource>, { kind: 'pixels' }>;

async function readPixels(pixels: Pixels, { bytes, targetFor }: FitOptions): Promise<DecodedImage> {
  checkPixels(pixels);
  const input = targetFor(pixels);
  if (pixels.fittedFrom !== undefined) return readReady(pixels, pixels.fittedFrom, { bytes, input });
  const { width, height, name } = pixels;
  const options = decodingOf(pixels, input);
  if (options.shrunk === undefined && options.channels === 3)
    return place({ width, height, readRow: (row) => bytes.read(row) }, { given: pixels, input });
  const all = bytes.readAll();
  const raw = await nameErrors(name, () => convertPixels(all, pixels, options));
  release(all);
  return placeRaw(raw, { given: pixels, input });
}

/** Pixels that have the network's size already; only their colours may have to be changed. */
async function readReady(
  pixels: Pixels,
  { width: givenWidth, height: givenHeight }: Size,
  { bytes, input: { width, height, channels } }: ReadOptions,
): Promise<DecodedImage> {
  const { name } = pixels;
  if (pixels.width !== width || pixels.height !== height)
    throw new RangeError(
      `Cannot read image ${name}: ${pixels.width}x${pixels.height} pixels, expected the network's ${width}x${height}`,
    );
  const given = { width: givenWidth, height: givenHeight };
  const all = bytes.readAll();
  if (channels === 3) return { ...given, data: all };
  const raw = await nameErrors(name, () => convertPixels(all, pixels, { shrunk: undefined, channels }));
  release(all);
  return { ...given, data: raw.data };
}

function checkPixels({ name, width, height, byteCount }: Pixels): void {
  checkSize({ width, height }, { name, most: MAX_PIXELS, kind: 'pixels' });
  if (byteCount !== width * height * 3)
    throw new RangeError(`Cannot read image ${name}: ${byteCount} bytes, expected ${width}x${height}x3`);
}

type EncodedSource = Exclude<Sent<ImageSource>, Pixels>;

async function readEncoded(source: EncodedSource, { bytes, targetFor }: FitOptions): Promise<DecodedImage> {
  const [name, encoded] =
    source.kind === 'file' ? [source.path, source.path] : [source.name, bytes.readAll()];
  const given = await readHeader(encoded, name);
  const input = targetFor(given);
  const { shrunk, channels } = decodingOf(given, input);
  const lying = shrunk === undefined ? undefined : turnSize(shrunk, given.orientation);
  const raw = await nameErrors(name, () => decodeImage(encoded, { shrunk: lying, channels }));
  if (typeof encoded !== 'string') release(encoded);
  return placeRaw(raw, { given, input }, given.orientation);
}

/**
 * Ratio of pixels given to pixels shown above which an image is shrunk first. 1080p for 608x608 (5.6) is
 * below it.
 */
const LARGE_AREA = 6;

/** A large image is shrunk by whole factors while it is decoded, since sampling needs all its pixels at once. */
function decodingOf(given: Size, input: ImageTarget): DecodeOptions {
  const { channels } = input;
  const shown = shownSize(given, input);
  const seen = seenPart(given, input);
  if (seen.width * seen.height <= LARGE_AREA * shown.width * shown.height)
    return { shrunk: undefined, channels };
  const shrink = (length: number, ratio: number) => Math.ceil(length / Math.max(1, Math.floor(ratio)));
  return {
    shrunk: {
      width: shrink(given.width, seen.width / shown.width),
      height: shrink(given.height, seen.height / shown.height),
    },
    channels,
  };
}

async function nameErrors(name: string, decode: () => Promise<RawImage>): Promise<RawImage> {
  try {
    return await decode();
  } catch (error) {
    throw new SyntaxError(`Cannot decode image ${name}: ${reasonOf(error)}`);
  }
}

interface PlaceOptions {
  /** Size of the image as given. */
  readonly given: Size;
  readonly input: ImageTarget;
}

/** @param orientation how the image has to be turned. */
function placeRaw(image: RawImage, options: PlaceOptions, orientation: Orientation = 1): DecodedImage {
  const placed = place({ ...turnSize(image, orientation), readRow: turnedRows(image, orientation) }, options);
  release(image.data);
  return placed;
}

/** Samples the image to where it is shown. */
function place(source: RowSource, { given: { width, height }, input }: PlaceOptions): DecodedImage {
  const { channels } = input;
  const rows = input.resize === 'crop' ? cropRows(source, { input, channels }) : source;
  const shown = shownSize({ width, height }, input);
  const { left, top } = marginOf(shown, input);
  const rowBytes = input.width * channels;
  const data = new Uint8Array(rowBytes * input.height);
  if (data.length > shown.width * shown.height * channels) data.fill((input.margin ?? DARKNET_MARGIN).grey);
  sampleImage(rows, { ...shown, channels, into: data, start: top * rowBytes + left * channels, rowBytes });
  return { data, width, height };
}

/** The part of an image that is seen, as an image. */
function cropRows(
  source: RowSource,
  { input, channels }: { readonly input: ImageTarget; readonly channels: number },
): RowSource {
  const { left, top, width, height } = seenPart(source, input);
  const row = new Uint8Array(source.width * channels);
  let skipped = 0;
  return {
    width,
    height,
    readRow: (into) => {
      for (; skipped < top; skipped += 1) source.readRow(row);
      source.readRow(row);
      into.set(row.subarray(left * channels, (left + width) * channels));
    },
  };
}
