import type { IncomingBytes } from '../../../agent/engine/child/bytes-pipe.js';

/** Bytes in memory, read as those on the pipe are. */
export function bytesOf(bytes: Uint8Array): IncomingBytes {
  let at = 0;
  const read = (into: Uint8Array) => {
    into.set(bytes.subarray(at, at + into.length));
    at += into.length;
  };
  const readAll = () => {
    const all = new Uint8Array(bytes.length - at);
    read(all);
    return all;
  };
  return { read, readAll };
}
