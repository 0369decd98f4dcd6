/** The bounds on unfinished packets, and the choice of the client that is cut off. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { Intake, PacketProgress } from '../../../agent/serve/broker/broker-intake.js';

/** Header of a packet with a body of 100,000 bytes. */
const header = (type: number) => Uint8Array.of(type << 4, 0xa0, 0x8d, 0x06);
const PUBLISH = 3;
const SUBSCRIBE = 8;

test('PacketProgress counts what has come of the packet that is not complete, however it is cut', () => {
  const packet = new PacketProgress();
  const counts = [
    [Uint8Array.of(0x30), 1],
    [Uint8Array.of(0xa0, 0x8d), 3],
    [Uint8Array.of(0x06), 4],
    [new Uint8Array(60_000), 60_004],
    [new Uint8Array(39_999), 100_003],
    [Uint8Array.of(0), 0],
    [Uint8Array.of(0xc0, 0), 0],
    [Uint8Array.of(0xc0, 0, 0x30, 2, 9), 3],
    [Uint8Array.of(9), 0],
  ] as const;
  for (const [chunk, expected] of counts) {
    assert.equal(packet.read(chunk, true), undefined);
    assert.equal(packet.receivedBytes, expected);
  }
});

test('PacketProgress refuses large packets other than a publish after login', () => {
  assert.equal(new PacketProgress().read(header(PUBLISH), true), undefined);
  assert.match(
    new PacketProgress().read(header(PUBLISH), false) ?? '',
    /^a packet of 100004 bytes, .* before/,
  );
  assert.match(new PacketProgress().read(header(SUBSCRIBE), true) ?? '', /expected at most 65536 of type 8$/);
});

test('Intake cuts who has most of what is unfinished, not who came last', async () => {
  const intake = new Intake(100_000);
  const open = () => {
    const reasons: string[] = [];
    const stream = new PassThrough({ highWaterMark: 2 ** 20 });
    stream.on('readable', () => stream.read());
    intake.watch(stream, {
      isLoggedIn: () => true,
      onRefused: (reason) => {
        reasons.push(reason);
        stream.destroy();
      },
    });
    const send = async (bytes: number) => {
      stream.write(new Uint8Array(bytes));
      await new Promise((resolve) => setImmediate(resolve));
    };
    stream.write(header(PUBLISH));
    return { stream, reasons, send };
  };
  const [greedy, modest] = [open(), open()];
  await greedy.send(70_000);
  await modest.send(29_000);
  assert.deepEqual([greedy.reasons, modest.reasons], [[], []]);
  const closed = once(greedy.stream, 'close');
  await modest.send(2000);
  await closed;
  assert.equal(greedy.reasons.length, 1);
  assert.match(greedy.reasons[0] ?? '', /^70004 of the 101008 bytes/);
  await modest.send(69_000);
  await open().send(90_000);
  assert.deepEqual(modest.reasons, []);
});
