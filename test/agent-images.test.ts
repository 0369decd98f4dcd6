/** Images of all kinds that cameras and strangers send to a real agent: right boxes, or an error that says what is wrong. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { encodedInput, openClient, requestOf } from './agent-client.js';
import { assertSameDetections, detectionsOf } from './detections.js';
import { drawnImage } from './fixtures.js';
import { imageKinds } from './image-kinds.js';
import { freePort } from './serve/brokers.js';
import { startAgent } from './start-agent.js';

test('mafat agent finds the same in images of all kinds, and refuses the others by name', async (context) => {
  const port = await freePort();
  const agent = startAgent(context, { port, server: 'embedded', fps: 0.01 });
  await agent.logged('connected to the broker');
  const client = await openClient(context, port);
  const ask = (image: Uint8Array, id: string) => client.ask(requestOf(encodedInput(image), { id }));
  const plain = await drawnImage(0);
  const expected = detectionsOf(await ask(plain, 'plain'));
  assert.ok(expected.length > 0);
  const pid = (await client.nextHealth()).processes.find(({ name }) => name === 'executor')?.pid;
  assert.ok(pid);

  for (const { name, bytes, loss } of await imageKinds(plain)) {
    const answer = await ask(bytes, name);
    assert.equal(answer.id, name);
    const found = detectionsOf(answer);
    // The detector's weights are random: what is lost in a pixel changes its boxes.
    if (loss === 0) assertSameDetections(found, expected);
  }

  for (const [name, image, reason] of await badImages(plain)) {
    const { id, error = '', parameters } = await ask(image, name);
    assert.deepEqual([id, parameters?.status], [name, 400], `${name}: ${error}`);
    assert.match(error, reason, name);
  }
  const { processes, executor } = await client.nextHealth();
  assert.equal(processes.find((process) => process.name === 'executor')?.pid, pid, 'the executor lives');
  assert.equal(executor.ends.count, 0);
  assertCalm(pid, executor.privateBytes);
  assert.equal(await agent.stop(), 0);
});

async function badImages(plain: Uint8Array): Promise<readonly (readonly [string, Uint8Array, RegExp])[]> {
  const jpeg = await sharp(plain).jpeg({ quality: 95 }).toBuffer();
  const EXPECTED = /expected jpeg, png, webp/;
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><image href="file:///etc/passwd"/></svg>';
  const gif = await sharp(plain).gif().toBuffer();
  const tiff = await sharp(plain).tiff().toBuffer();
  return [
    ['nothing', new Uint8Array(), /image/],
    ['noise', Uint8Array.from({ length: 1000 }, (_, at) => (at * 7919) % 251), EXPECTED],
    ['svg', Buffer.from(svg), EXPECTED],
    ['gif', gif, EXPECTED],
    ['tiff', tiff, EXPECTED],
    ['bmp', bmp(), EXPECTED],
    ['a cut header', jpeg.subarray(0, 20), EXPECTED],
    ['half a jpeg', jpeg.subarray(0, jpeg.length / 2), /Cannot (decode|read) image/],
    ['a jpeg without its end', jpeg.subarray(0, jpeg.length - 200), /Cannot (decode|read) image/],
    ['half a png', plain.subarray(0, plain.length / 2), /Cannot (decode|read) image/],
    ['a bomb', bomb(30_000, 30_000), /30000x30000 pixels, expected at most 67108864/],
    ['an interlaced bomb', bomb(6000, 6000, 1), /6000x6000 interlaced pixels, expected at most 16777216/],
    ['a dot', await sharp(plain).resize(1, 1).png().toBuffer(), /1x1 pixels, expected at least 2x2/],
  ];
}

/** A PNG that says how large it is, and has no more than the beginning of its pixels. */
function bomb(width: number, height: number, interlaced = 0): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, interlaced], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(Buffer.alloc(1000)))]);
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

/** Checksum of PNG; `zlib.crc32` came with Node.js 20.15. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** A bitmap of Windows, 2x2. */
function bmp(): Uint8Array {
  const header = Buffer.alloc(54 + 16);
  header.write('BM');
  header.writeUInt32LE(header.length, 2);
  header.writeUInt32LE(54, 10);
  header.writeUInt32LE(40, 14);
  header.writeInt32LE(2, 18);
  header.writeInt32LE(2, 22);
  header.writeUInt16LE(1, 26);
  header.writeUInt16LE(24, 28);
  return header;
}

/** The executor's greatest memory so far is not far above what it holds: no image made it swell. */
function assertCalm(pid: number, heldBytes: number): void {
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
  assert.ok(peak < heldBytes + 200 * 2 ** 20, `peak ${peak}, held ${heldBytes}`);
}
