/** The limit of packets: reading headers in a stream of bytes, and cutting off clients that announce too much. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import type { IClientOptions, MqttClient } from 'mqtt';
import { connectAsync } from 'mqtt';
import { EmbeddedBroker } from '../../../agent/serve/broker/embedded-broker.js';
import { limitPackets, MAX_PACKET_BYTES, PacketLimit } from '../../../agent/serve/broker/packet-limit.js';

const MB = 2 ** 20;

/** The topic of requests, the only one that a client may publish to. */
const LARGE = 'mafat/node/v2/models/large/infer';
const SMALL = 'mafat/node/v2/models/small/infer';

/** CONNECT of MQTT 3.1.1 with a clean session and the client id `raw`. */
const CONNECT = Buffer.from([
  0x10,
  15,
  0,
  4,
  ...Buffer.from('MQTT'),
  4,
  2,
  0,
  0,
  0,
  3,
  ...Buffer.from('raw'),
]);

test('PacketLimit accepts a stream exactly when all of its packets are within the limit', () => {
  fc.assert(
    fc.property(streams(), ({ packets, maxPacketBytes, cuts }) => {
      const stream = Buffer.concat(packets.map(({ bytes }) => bytes));
      const chunks = cut(stream, cuts);
      const limit = new PacketLimit(maxPacketBytes);
      const refused = chunks.findIndex((chunk) => limit.read(chunk) !== undefined);
      assert.equal(refused, chunkOf(faultAt(packets, maxPacketBytes), chunks));
    }),
    { numRuns: 2000 },
  );
});

test('PacketLimit counts header and body, at every number of length bytes', () => {
  const cases = [
    [[0x00], 2],
    [[0x7f], 129],
    [[0x80, 0x01], 131],
    [[0xff, 0x7f], 16_386],
    [[0x80, 0x80, 0x01], 16_388],
    [[0xff, 0xff, 0x7f], 2_097_155],
    [[0x80, 0x80, 0x80, 0x01], 2_097_157],
    [[0xff, 0xff, 0xff, 0x7f], 268_435_460],
  ] as const;
  for (const [length, packetBytes] of cases) {
    const header = Uint8Array.of(0x30, ...length);
    assert.equal(new PacketLimit(packetBytes).read(header), undefined);
    assert.equal(
      new PacketLimit(packetBytes - 1).read(header),
      `a packet of ${packetBytes} bytes, expected at most ${packetBytes - 1}`,
    );
  }
});

test('PacketLimit refuses a length whose fourth byte asks for a fifth', () => {
  const limit = new PacketLimit(MAX_PACKET_BYTES);
  assert.equal(limit.read(Uint8Array.of(0x30, 0x80, 0x80, 0x80)), undefined);
  assert.equal(limit.read(Uint8Array.of(0x80)), 'a packet length of more than 4 bytes');
});

test('limitPackets() leaves the pace to the reader', async () => {
  const stream = new PassThrough({ highWaterMark: 8 });
  stream.on('readable', () => undefined);
  limitPackets(stream, { maxPacketBytes: 4, onRefused: () => assert.fail('nothing was read yet') });
  assert.equal(stream.write(Buffer.alloc(64, 0xff)), false);
  await nextTurn();
  assert.equal(stream.readableFlowing, false);
  assert.equal(stream.readableLength, 64);
});

test('limitPackets() destroys the stream within the read, and says why once', () => {
  const stream = new PassThrough();
  const reasons: string[] = [];
  stream.on('readable', () => undefined);
  limitPackets(stream, { maxPacketBytes: 4, onRefused: (reason) => reasons.push(reason) });
  stream.write(Uint8Array.of(0x30, 3, 0, 0, 0, 0x30, 3));
  stream.read();
  assert.deepEqual(reasons, ['a packet of 5 bytes, expected at most 4']);
  assert.ok(stream.destroyed);
  assert.equal(stream.listenerCount('data'), 0);
});

test('EmbeddedBroker cuts a publish of 40 MB and goes on serving the others', async (t) => {
  const { refused, open, openAgent } = await startBroker(t);
  const reader = await openAgent();
  const bystander = await open('bystander');
  await reader.subscribeAsync([`${LARGE}/+`, `${SMALL}/+`]);
  const sender = await open('sender');
  const closed = new Promise<void>((resolve) => sender.once('close', () => resolve()));
  sender.publish(LARGE, Buffer.alloc(40 * MB));
  await closed;
  assert.equal(refused.length, 1);
  assert.match(refused[0] ?? '', /^127\.0\.0\.1:\d+: a packet of 41943079 bytes, expected at most 33554432$/);
  const received = nextMessage(reader);
  await bystander.publishAsync(SMALL, 'still here', { qos: 1 });
  const { topic, payload } = await received;
  assert.deepEqual([topic, String(payload)], [`${SMALL}/bystander`, 'still here']);
});

test('EmbeddedBroker passes a publish of 20 MB on as it is', async (t) => {
  const { refused, open, openAgent } = await startBroker(t);
  const reader = await openAgent();
  await reader.subscribeAsync(`${LARGE}/+`);
  const sent = Buffer.alloc(20 * MB, 'every byte of it');
  const received = nextMessage(reader);
  const sender = await open('sender');
  await sender.publishAsync(LARGE, sent, { qos: 1 });
  const { payload } = await received;
  assert.equal(digest(payload), digest(sent));
  assert.deepEqual(refused, []);
});

test('EmbeddedBroker cuts at the announcement, without waiting for the body', async (t) => {
  const { url, refused } = await startBroker(t, { maxPacketBytes: 1000 });
  const { hostname, port } = new URL(url);
  const socket = connectSocket(Number(port), hostname);
  socket.write(CONNECT);
  await once(socket, 'data');
  const closed = once(socket, 'close');
  socket.write(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f));
  await closed;
  assert.match(refused.join(), /a packet of 268435460 bytes, expected at most 1000$/);
});

interface Packet {
  readonly bytes: Uint8Array;
  readonly headerBytes: number;
  /** Whether the length has a fourth byte that asks for a fifth. */
  readonly malformed: boolean;
}

interface Stream {
  readonly packets: readonly Packet[];
  readonly maxPacketBytes: number;
  readonly cuts: readonly number[];
}

/** Bodies are random bytes, which look like headers to a reader that lost its place. */
function streams(): fc.Arbitrary<Stream> {
  const body = fc.oneof(fc.uint8Array({ maxLength: 8 }), fc.uint8Array({ maxLength: 400, size: 'max' }));
  const padded = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 2 }));
  const whole = fc.tuple(fc.nat(255), padded, body).map(packetOf);
  const malformed = fc.tuple(fc.nat(255), fc.nat(0x7f)).map(malformedPacket);
  return fc.record({
    packets: fc.array(fc.oneof({ weight: 30, arbitrary: whole }, malformed), { maxLength: 12 }),
    maxPacketBytes: fc.oneof(fc.integer({ min: 2, max: 500 }), fc.constant(MAX_PACKET_BYTES)),
    cuts: fc.array(fc.nat(3000), { maxLength: 40 }),
  });
}

/** Length bytes, which may be more than needed: MQTT 3.1.1 doesn't forbid that. */
function packetOf([type, paddingBytes, body]: readonly [number, number, Uint8Array]): Packet {
  const length =
    body.length < 128 ? [body.length] : [(body.length % 128) | 0x80, Math.floor(body.length / 128)];
  const padding = Array.from({ length: paddingBytes }, (_, at) => (at + 1 < paddingBytes ? 0x80 : 0));
  if (paddingBytes > 0) length.push((length.pop() ?? 0) | 0x80, ...padding);
  return {
    bytes: Uint8Array.of(type, ...length, ...body),
    headerBytes: 1 + length.length,
    malformed: false,
  };
}

function malformedPacket([type, bits]: readonly [number, number]): Packet {
  return { bytes: Uint8Array.of(type, 0x80, 0x80, 0x80, bits | 0x80), headerBytes: 5, malformed: true };
}

/** Index of the last header byte of the first packet to refuse; -1 if all may pass. */
function faultAt(packets: readonly Packet[], maxPacketBytes: number): number {
  let start = 0;
  for (const { bytes, headerBytes, malformed } of packets) {
    if (malformed || bytes.length > maxPacketBytes) return start + headerBytes - 1;
    start += bytes.length;
  }
  return -1;
}

function cut(bytes: Uint8Array, cuts: readonly number[]): readonly Uint8Array[] {
  const borders = [0, ...cuts.filter((at) => at < bytes.length).toSorted((a, b) => a - b), bytes.length];
  return borders.slice(1).map((end, at) => bytes.subarray(borders[at], end));
}

function chunkOf(place: number, chunks: readonly Uint8Array[]): number {
  let end = 0;
  return place < 0
    ? -1
    : chunks.findIndex((chunk) => {
        end += chunk.length;
        return place < end;
      });
}

/** A broker and clients that don't reconnect once they are cut off. All end with the test. */
async function startBroker(
  t: { after(stop: () => Promise<void>): void },
  options: { readonly maxPacketBytes?: number } = {},
) {
  const refused: string[] = [];
  const broker = new EmbeddedBroker({
    host: '127.0.0.1',
    port: 0,
    base: 'mafat',
    onRefused: (address, reason) => refused.push(`${address}: ${reason}`),
    ...options,
  });
  const { url, ...login } = await broker.start();
  const clients: MqttClient[] = [];
  t.after(async () => {
    await Promise.all(clients.map((client) => client.endAsync(true)));
    await broker.stop();
  });
  const open = async (clientId: string, more: IClientOptions = {}): Promise<MqttClient> => {
    const options = { clientId, protocolVersion: 4, reconnectPeriod: 0, ...more } as const;
    const client = await connectAsync(url, options);
    client.on('error', () => undefined);
    clients.push(client);
    return client;
  };
  return { url, refused, open, openAgent: () => open('agent', login) };
}

function nextMessage(client: MqttClient) {
  return new Promise<{ readonly topic: string; readonly payload: Buffer }>((resolve) =>
    client.once('message', (topic, payload) => resolve({ topic, payload })),
  );
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
