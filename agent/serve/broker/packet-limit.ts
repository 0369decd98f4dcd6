/**
 * Bounds the packets of one MQTT client. The broker collects a packet in memory until it is whole. MQTT
 * allows 256 MB, and aedes has no limit of its own (moscajs/aedes#831).
 *
 * Only fixed headers are read (MQTT 3.1.1, section 2.2). A header has a byte of type and flags, then the
 * length of the rest in one to four bytes. Each has seven bits, lowest first; its top bit is set if another
 * byte follows. Bodies are skipped, so that a chunk costs time by its packets, not its bytes. The broker
 * checks the content of packets.
 */
import type { Readable } from 'node:stream';

/**
 * Largest packet in bytes. It is well above the agent's own default limit, so that most requests that are too
 * large still get an answer. Past this limit the connection is closed, since MQTT 3.1.1 has no other refusal.
 */
export const MAX_PACKET_BYTES = 32 * 2 ** 20;

/** Most bytes of the length in a fixed header. */
const MAX_LENGTH_BYTES = 4;

/** Follows the packets of one client through chunks that may be cut anywhere. */
export class PacketLimit {
  readonly #maxPacketBytes: number;
  /** Header bytes read of the current packet; 0 before its first byte. */
  #headerBytes = 0;
  /** Body length, as far as it has been read. */
  #announcedBytes = 0;
  /** Body bytes that are still to come. */
  #bodyBytes = 0;

  /** @param maxPacketBytes size of header and body together, as MQTT 5 counts it. */
  constructor(maxPacketBytes: number) {
    this.#maxPacketBytes = maxPacketBytes;
  }

  /**
   * @returns the reason why the client must be cut off, with the chunk that ends the bad header. No later
   * byte is read.
   */
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
 * Destroys a stream at a packet that is too large, after the chunk in which the packet starts.
 *
 * The 'data' listener doesn't change the pace of the stream's reader. aedes reads with a 'readable' listener.
 * While there is one, 'data' comes from within read() and doesn't make the stream flow (Node's "Event:
 * 'readable'").
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
