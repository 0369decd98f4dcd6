import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FramePool } from '../../agent/camera/frame-pool.js';
import { JpegFrames } from '../../agent/camera/jpeg-frames.js';
import { LastLines } from '../../agent/camera/last-lines.js';
import { RawFrames } from '../../agent/camera/raw-frames.js';
import { drawnImage } from '../fixtures.js';

test('RawFrames cuts a stream into frames, however it comes', () => {
  const stream = Uint8Array.from({ length: 40 }, (_, at) => at);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 12 }), (cuts) => {
      const seen: number[][] = [];
      const frames = new RawFrames({
        frameBytes: 6,
        pool: new FramePool(),
        onFrame: (bytes, release) => {
          seen.push([...bytes]);
          release();
        },
      });
      for (const part of partsOf(stream, cuts)) frames.take(part);
      assert.deepEqual(
        seen,
        [0, 6, 12, 18, 24, 30].map((first) => [...stream.subarray(first, first + 6)]),
      );
    }),
  );
});

test('RawFrames uses a buffer again once it is released, and not before', () => {
  const held: { readonly bytes: Uint8Array; readonly release: () => void }[] = [];
  const frames = new RawFrames({
    frameBytes: 2,
    pool: new FramePool(),
    onFrame: (bytes, release) => held.push({ bytes, release }),
  });
  frames.take(Uint8Array.of(1, 2, 3, 4));
  const [first, second] = held;
  assert.ok(first && second);
  assert.notEqual(first.bytes.buffer, second.bytes.buffer);
  assert.deepEqual([...first.bytes], [1, 2]);
  first.release();
  frames.take(Uint8Array.of(5, 6));
  assert.equal(held[2]?.bytes.buffer, first.bytes.buffer);
  assert.deepEqual([...second.bytes], [3, 4]);
});

test('RawFrames.end() drops an unfinished frame', () => {
  const seen: number[][] = [];
  const pool = new FramePool();
  const frames = new RawFrames({ frameBytes: 3, pool, onFrame: (bytes) => seen.push([...bytes]) });
  frames.take(Uint8Array.of(1, 2));
  frames.end();
  frames.take(Uint8Array.of(3, 4, 5));
  assert.deepEqual(seen, [[3, 4, 5]]);
});

test('JpegFrames finds the images in a stream, however it comes, and skips what lies between', async () => {
  const images = [await drawnImage(0, 'jpeg'), await drawnImage(9, 'jpeg')] as const;
  const stream = Buffer.concat([Buffer.from('garbage'), images[0], Buffer.from([0, 0xff, 0]), images[1]]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 2000 }), { maxLength: 20 }), (cuts) => {
      assert.deepEqual(
        jpegsOf(partsOf(stream, cuts)),
        images.map((image) => [...image]),
      );
    }),
    { numRuns: 20 },
  );
});

test('JpegFrames gives images that are cut short or too long as they are, and goes on after them', () => {
  const image = [0xff, 0xd8, 1, 2, 0xff, 0xd9];
  assert.deepEqual(jpegsOf([Uint8Array.from([0xff, 0xd8, 7, ...image])]), [[0xff, 0xd8, 7], image]);
  assert.deepEqual(jpegsOf([Uint8Array.of(0xff, 0xd8, 0xff, 0xd9)]), [[0xff, 0xd8, 0xff, 0xd9]]);
  const long = [0xff, 0xd8, ...Array.from({ length: 100 }, () => 3)];
  assert.deepEqual(jpegsOf([Uint8Array.from([...long, ...image])], 10), [long.slice(0, 10), image]);
});

test('LastLines keeps a few lines as they may be shown', () => {
  const lines = new LastLines((line) => (line.startsWith('!') ? line.slice(1) : undefined));
  for (const part of ['!one\nskipped\n!t', 'wo\r\n!two\n\n!three\n', '!fo', 'ur']) lines.add(part);
  assert.equal(lines.text, 'one; two; three');
  lines.end();
  assert.equal(lines.text, 'two; three; four');
  lines.add(`!${'x'.repeat(5000)}`);
  lines.add(`${'x'.repeat(5000)}\n!five\n`);
  assert.equal(lines.text, 'three; four; five');
});

function jpegsOf(parts: readonly Uint8Array[], maxBytes?: number): readonly (readonly number[])[] {
  const seen: number[][] = [];
  const frames = new JpegFrames({
    pool: new FramePool(),
    onFrame: (bytes, release) => {
      seen.push([...bytes]);
      release();
    },
    ...(maxBytes === undefined ? {} : { maxBytes }),
  });
  for (const part of parts) frames.take(part);
  return seen;
}

/** Parts of given lengths, and a last one with the rest. */
function partsOf(stream: Uint8Array, lengths: readonly number[]): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const length of lengths) {
    parts.push(stream.subarray(at, at + length));
    at += length;
  }
  return [...parts, stream.subarray(at)];
}
