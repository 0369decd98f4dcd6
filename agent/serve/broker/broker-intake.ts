/**
 * Bounds the unfinished packets of the embedded broker's clients, in addition to the limit of each packet
 * (packet-limit.ts):
 *
 * - Only a PUBLISH of a client that is logged in may be large. A SUBSCRIBE of 32 MB would be millions of
 *   filters.
 * - All clients together have a limit of unfinished bytes. Past it the client with the most is cut off, so
 *   that clients that never end large packets can't keep out the others.
 */
import type { Readable } from 'node:stream';
import { elementAt } from '../../../shared/graph/index.js';

/** Largest packet, in bytes, that isn't a PUBLISH or comes before login. */
const MAX_CONTROL_BYTES = 2 ** 16;

/** Packet type (MQTT 3.1.1, section 2.2.1). */
const PUBLISH = 3;

export interface IntakeOptions {
  readonly isLoggedIn: () => boolean;
  /** Called once with the reason. It must end the stream. */
  readonly onRefused: (reason: string) => void;
}

/** Counts the bytes of all clients' unfinished packets. */
export class Intake {
  readonly #maxBytes: number;
  readonly #held = new Map<Readable, { bytes: number; readonly onRefused: (reason: string) => void }>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Watches a stream until it closes. As in limitPackets(), the listener doesn't change the reader's pace. */
  watch(stream: Readable, { isLoggedIn, onRefused }: IntakeOptions): void {
    const packet = new PacketProgress();
    const held = { bytes: 0, onRefused };
    this.#held.set(stream, held);
    stream.once('close', () => this.#held.delete(stream));
    const read = (chunk: Uint8Array) => {
      const reason = packet.read(chunk, isLoggedIn());
      held.bytes = packet.receivedBytes;
      if (reason === undefined) return this.#cutLargest();
      stream.off('data', read);
      onRefused(reason);
    };
    stream.on('data', read);
  }

  #cutLargest(): void {
    const all = [...this.#held];
    const sum = all.reduce((bytes, [, held]) => bytes + held.bytes, 0);
    if (sum <= this.#maxBytes) return;
    const [stream, largest] = all.reduce((most, one) => (one[1].bytes > most[1].bytes ? one : most));
    this.#held.delete(stream);
    largest.onRefused(
      `${largest.bytes} of the ${sum} bytes of packets that clients have begun, expected at most ${this.#maxBytes} of all`,
    );
  }
}

/** Counts the bytes of a client's current packet. packet-limit.ts refuses malformed headers before. */
export class PacketProgress {
  #type = 0;
  /** Header bytes received; 0 between packets. */
  #headerBytes = 0;
  /** Body bytes announced by the header, as far as it has been read. */
  #bodyBytes = 0;
  /** Body bytes that are still to come. */
  #missingBytes = 0;

  /** Bytes received of the unfinished packet. */
  get receivedBytes(): number {
    return this.#headerBytes + (this.#missingBytes === 0 ? 0 : this.#bodyBytes - this.#missingBytes);
  }

  /** @returns the reason why the client must be cut off; undefined if it may go on. */
  read(chunk: Uint8Array, isLoggedIn: boolean): string | undefined {
    let at = 0;
    while (at < chunk.length) {
      if (this.#missingBytes > 0) {
        at += this.#skipBody(chunk.length - at);
        continue;
      }
      const fault = this.#readHeader(elementAt(chunk, at), isLoggedIn);
      at += 1;
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #skipBody(bytes: number): number {
    const skipped = Math.min(this.#missingBytes, bytes);
    this.#missingBytes -= skipped;
    if (this.#missingBytes === 0) this.#headerBytes = 0;
    return skipped;
  }

  #readHeader(byte: number, isLoggedIn: boolean): string | undefined {
    const place = this.#headerBytes - 1;
    this.#headerBytes += 1;
    if (place < 0) {
      this.#type = byte >> 4;
      this.#bodyBytes = 0;
      return undefined;
    }
    this.#bodyBytes += (byte & 0x7f) * 128 ** place;
    return byte < 0x80 ? this.#endHeader(isLoggedIn) : undefined;
  }

  #endHeader(isLoggedIn: boolean): string | undefined {
    const packetBytes = this.#headerBytes + this.#bodyBytes;
    this.#missingBytes = this.#bodyBytes;
    if (this.#missingBytes === 0) this.#headerBytes = 0;
    if (packetBytes <= MAX_CONTROL_BYTES || (this.#type === PUBLISH && isLoggedIn)) return undefined;
    return `a packet of ${packetBytes} bytes, expected at most ${MAX_CONTROL_BYTES} ${isLoggedIn ? `of type ${this.#type}` : 'before login'}`;
  }
}
