/** The executor's end of the pipe for the bytes of inputs and outputs. Reading and writing block, as runs do. */
import { readSync, writeSync } from 'node:fs';
import type { AskMessage } from '../wire/protocol.js';
import { BYTES_FD } from '../wire/protocol.js';

/** Bytes that follow a message, read part by part to where they are needed. */
export interface IncomingBytes {
  /** Fills `into` with the next bytes. */
  read(into: Uint8Array): void;
  /** All bytes that are left, in a buffer of their own. */
  readAll(): Uint8Array;
}

/** Bytes that are skipped at once. */
const SKIPPED_BYTES = 64 * 1024;

export class PipedBytes implements IncomingBytes {
  #left: number;

  constructor({ request }: AskMessage) {
    this.#left = 'image' in request && 'byteCount' in request.image ? request.image.byteCount : 0;
  }

  /** @throws {RangeError} if the message had fewer; {Error} if the agent has ended. */
  read(into: Uint8Array): void {
    if (into.byteLength > this.#left)
      throw new RangeError(`Cannot read ${into.byteLength} bytes: ${this.#left} are left`);
    for (let at = 0; at < into.byteLength; ) {
      const count = readSync(BYTES_FD, into, at, into.byteLength - at, null);
      if (count === 0) throw new Error('Cannot read an input: the agent has ended');
      at += count;
    }
    this.#left -= into.byteLength;
  }

  readAll(): Uint8Array {
    const bytes = new Uint8Array(this.#left);
    this.read(bytes);
    return bytes;
  }

  /** Reads what a failed request has left, since the next one's bytes follow. */
  skip(): void {
    while (this.#left > 0) this.read(new Uint8Array(Math.min(this.#left, SKIPPED_BYTES)));
  }
}

export function writeBytes(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength; ) at += writeSync(BYTES_FD, bytes, at);
}
