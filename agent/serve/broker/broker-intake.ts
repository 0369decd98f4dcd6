/**
 * Bounds what clients of the embedded broker may send before it is of use, beyond the limit of each packet (see
 * packet-limit.ts):
 *
 * - Only a publish of a client that is logged in may be large: a SUBSCRIBE of 32 MB is millions of filters.
 * - All clients together may have so many bytes of unfinished packets. Past that, who has most is cut off, so that
 *   many who send large packets and never end them don't keep out the others.
 */
import type { Readable } from 'node:stream';

/** Of everything but PUBLISH, and of anything before login. */
const MAX_CONTROL_BYTES = 2 ** 16;

const PUBLISH = 3;

export interface IntakeOptions {
  readonly isLoggedIn: () => boolean;
  /** Called with why, once for a stream; it has to end it. */
  readonly onRefused: (reason: string) => void;
}

/** Unfinished packets of all clients. */
export class Intake {
  readonly #maxBytes: number;
  readonly #held = new Map<Readable, { bytes: number; readonly onRefused: (reason: string) => void }>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** As limitPackets(): the listener leaves the pace to the reader. */
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

/** How much of its current packet a client has sent. Headers as in packet-limit.ts, which refuses bad ones. */
export class PacketProgress {
  #type = 0;
  /** 0 between packets. */
  #headerBytes = 0;
  #bodyBytes = 0;
  /** Of the body, still to come. */
  #missingBytes = 0;

  /** Bytes of the packet that isn't complete. */
  get receivedBytes(): number {
    return this.#headerBytes + (this.#missingBytes === 0 ? 0 : this.#bodyBytes - this.#missingBytes);
  }

  /** @returns why the client has to go. */
  read(chunk: Uint8Array, isLoggedIn: boolean): string | undefined {
    let at = 0;
    while (at < chunk.length) {
      if (this.#missingBytes > 0) {
        at += this.#skipBody(chunk.length - at);
        continue;
      }
      const fault = this.#readHeader(chunk[at++] ?? 0, isLoggedIn);
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
