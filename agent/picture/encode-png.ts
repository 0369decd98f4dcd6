/**
 * Encodes PNGs in the agent's own process: nothing foreign is decoded here. sharp would choose the colours of a palette
 * itself, so that a pixel's number wouldn't be its class.
 *
 * Rows are read, filtered and compressed block by block, and other work gets its turn between the blocks. So memory is that
 * of a block and of the PNG.
 *
 * Source: W3C, Portable Network Graphics, sections 5 (chunks), 9 (filters) and 11.2 (IHDR, PLTE, IDAT, IEND).
 */
import { once } from 'node:events';
import type { Deflate } from 'node:zlib';
import { createDeflate } from 'node:zlib';
import { crc32 } from '../files/crc32.js';

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Of a row: grey, RGB, or numbers of the palette's colours. */
  readonly channels: 1 | 3;
  /** Red, green and blue of each colour, at most 256 of them. */
  readonly palette?: Uint8Array;
  /** Bytes of a row, from its first column on. They are used before the next row is asked for. */
  readonly row: (y: number) => Uint8Array;
}

/** Bytes of rows that are compressed at once. */
const BLOCK_BYTES = 256 * 2 ** 10;

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/** The PNG is larger than it may be. It isn't made to its end. */
export class PngSizeError extends RangeError {}

/** @throws {PngSizeError} if the PNG takes more than `maxBytes`. */
export async function encodePng(
  picture: Picture,
  { maxBytes = Number.POSITIVE_INFINITY }: { readonly maxBytes?: number } = {},
): Promise<Buffer> {
  const { palette } = picture;
  const head = [SIGNATURE, chunk('IHDR', headerOf(picture))];
  if (palette !== undefined) head.push(chunk('PLTE', palette));
  let bytes = 0;
  const data: Buffer[] = [];
  const deflate = createDeflate();
  deflate.on('data', (part: Buffer) => {
    data.push(part);
    bytes += part.byteLength;
  });
  try {
    for (const block of blocksOf(picture)) {
      await write(deflate, block);
      if (bytes > maxBytes) throw tooLarge(picture, maxBytes);
    }
    const ended = once(deflate, 'end');
    deflate.end();
    await ended;
  } finally {
    deflate.destroy();
  }
  const png = Buffer.concat([...head, chunk('IDAT', Buffer.concat(data)), chunk('IEND', Buffer.alloc(0))]);
  if (png.byteLength > maxBytes) throw tooLarge(picture, maxBytes);
  return png;
}

function tooLarge({ width, height }: Picture, maxBytes: number): PngSizeError {
  return new PngSizeError(`a PNG of ${width}x${height} pixels takes more than ${maxBytes} bytes`);
}

/** Resolves when a block was compressed. */
function write(deflate: Deflate, block: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    deflate.write(block, (error) => (error === undefined || error === null ? resolve() : reject(error)));
  });
}

const COLOUR_TYPES = { grey: 0, rgb: 2, palette: 3 } as const;

/** Size, 8 bits a channel, colour type, and the only compression, filters and no interlacing. */
function headerOf({ width, height, channels, palette }: Picture): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const type = palette !== undefined ? 'palette' : channels === 1 ? 'grey' : 'rgb';
  header.set([8, COLOUR_TYPES[type]], 8);
  return header;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.byteLength);
  const content = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(content));
  return Buffer.concat([length, content, checksum]);
}

/** Filters by their number in the file. */
const FILTERS = { none: 0, paeth: 4 } as const;

/** Rows with their filter. Numbers of colours have no order that a filter could use. */
function* blocksOf({ width, height, channels, palette, row }: Picture): Generator<Uint8Array> {
  const bytes = width * channels;
  const filter = palette === undefined ? 'paeth' : 'none';
  const rows = Math.max(1, Math.floor(BLOCK_BYTES / (bytes + 1)));
  const above = new Uint8Array(bytes);
  for (let top = 0; top < height; top += rows) {
    const block = new Uint8Array(Math.min(rows, height - top) * (bytes + 1));
    for (let start = 0, y = top; start < block.length; start += bytes + 1, y += 1) {
      const values = row(y);
      block[start] = FILTERS[filter];
      const filtered = block.subarray(start + 1, start + 1 + bytes);
      if (filter === 'none') filtered.set(values);
      else writePaeth(values, { above, channels, into: filtered });
      above.set(values);
    }
    yield block;
  }
}

interface Filtering {
  readonly above: Uint8Array;
  /** Distance to the same channel of the pixel to the left. */
  readonly channels: number;
  readonly into: Uint8Array;
}

/** Differences from the neighbour (left, above or left above) that is nearest to left + above - left above. */
function writePaeth(values: Uint8Array, { above, channels, into }: Filtering): void {
  for (let at = 0; at < values.length; at += 1) {
    const left = at < channels ? 0 : (values[at - channels] as number);
    const up = above[at] as number;
    const corner = at < channels ? 0 : (above[at - channels] as number);
    const [toLeft, toUp, toCorner] = [
      Math.abs(up - corner),
      Math.abs(left - corner),
      Math.abs(left + up - 2 * corner),
    ];
    const nearest = toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
    into[at] = (values[at] as number) - nearest;
  }
}
