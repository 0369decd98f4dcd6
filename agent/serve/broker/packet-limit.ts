/**
 * Bounds what one MQTT client can make the broker hold: a packet is collected in memory until it is whole,
 * MQTT lets it be 256 MB, and aedes has no limit of its own (moscajs/aedes#831).
 *
 * Only fixed headers are read (MQTT 3.1.1, section 2.2): a byte of type and flags, then the length of the
 * rest in one to four bytes, seven bits each, lowest first, with the top bit where another one follows.
 * Bodies are counted off, so that a chunk costs its packets, not its bytes, and nothing is copied. What a
 * packet says isn't checked: that is the broker's.
 */
import type { Readable } from 'node:stream';

/**
 * Well above what the agent reads by default, so that a request it finds too large can still be told so;
 * only what is far beyond loses its connection without a word, which is all that MQTT 3.1.1 has for it.
 */
export const MAX_PACKET_BYTES = 32 * 2 ** 20;

/** Length bytes of a fixed header. */
const MAX_LENGTH_BYTES = 4;

/** Follows the packets of one client through its bytes, in chunks cut anywhere. */
export class PacketLimit {
  readonly #maxPacketBytes: number;
  /** Of the packet being read; 0 before its first byte. */
  #headerBytes = 0;
  /** As far as the length has been read. */
  #announcedBytes = 0;
  /** Of a body, still to come. */
  #bodyBytes = 0;

  /** @param maxPacketBytes largest packet, header and body together, as MQTT 5 counts it too. */
  constructor(maxPacketBytes: number) {
    this.#maxPacketBytes = maxPacketBytes;
  }

  /** @returns why the client has to go, in the chunk that ends the header at fault; its bytes end there. */
  read(chunk: Uint8Array): string | undefined {
    let at = 0;
    while (at < chunk.length) {
      const skipped = Math.min(this.#bodyBytes, chunk.length - at);
      this.#bodyBytes -= skipped;
      at += skipped;
      const byte = chunk[at++];
      const fault = byte === undefined ? undefined : this.#readHeader(byte);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #readHeader(byte: number): string | undefined {
    const place = this.#headerBytes - 1;
    this.#headerBytes += 1;
    if (place < 0) return undefined;
    this.#announcedBytes += (byte & 0x7f) * 128 ** place;
    if (byte < 0x80) return this.#endHeader();
    return place + 1 < MAX_LENGTH_BYTES
      ? undefined
      : `a packet length of more than ${MAX_LENGTH_BYTES} bytes`;
  }

  #endHeader(): string | undefined {
    const packetBytes = this.#headerBytes + this.#announcedBytes;
    this.#bodyBytes = this.#announcedBytes;
    this.#headerBytes = 0;
    this.#announcedBytes = 0;
    return packetBytes > this.#maxPacketBytes
      ? `a packet of ${packetBytes} bytes, expected at most ${this.#maxPacketBytes}`
      : undefined;
  }
}

export interface PacketLimitOptions {
  readonly maxPacketBytes: number;
  /** Called once, before the stream is destroyed. */
  readonly onRefused: (reason: string) => void;
}

/**
 * Destroys a stream at a packet that is too large, before more of it is read than the chunk it starts in.
 *
 * It listens to 'data' and leaves the stream to its reader: while there is a 'readable' listener, which is
 * how aedes reads, 'data' comes from within read() and doesn't pull (Node's "Event: 'readable'"), so that
 * the reader keeps its pace and the chunk passes here first.
 */
export function limitPackets(stream: Readable, { maxPacketBytes, onRefused }: PacketLimitOptions): void {
  const limit = new PacketLimit(maxPacketBytes);
  const watch = (chunk: Uint8Array) => {
    const reason = limit.read(chunk);
    if (reason === undefined) return;
    stream.off('data', watch);
    onRefused(reason);
    stream.destroy();
  };
  stream.on('data', watch);
}
