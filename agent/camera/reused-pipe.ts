/**
 * A pipe whose bytes all come in one buffer that is used again and again. The pipes of child processes take a new buffer
 * for each read: a megabyte for each frame, which stays until the collector comes.
 *
 * Node.js makes no pipes by itself. So this is a connection of a Unix socket, in a folder that only this user may enter.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** As much as a socket gives at once. */
const BUFFER_BYTES = 64 * 1024;

export interface ReusedPipe {
  /** The end to write to, for a child process. It is destroyed here once the process has it. */
  readonly writeEnd: Socket;
  /** Resolves when all that was written has been read, and nobody can write any more. */
  readonly ended: Promise<void>;
  /** Reads no more. */
  close(): void;
}

/** @param onBytes called with bytes that are valid until it returns. @throws {Error} if there is no place for a socket. */
export async function openReusedPipe(onBytes: (bytes: Uint8Array) => void): Promise<ReusedPipe> {
  const folder = await mkdtemp(join(tmpdir(), 'mafat-pipe-'));
  // Paused, so that this process doesn't read what the child should write.
  const server = createServer({ pauseOnConnect: true });
  try {
    const path = join(folder, 'pipe');
    server.listen(path);
    await once(server, 'listening');
    const readEnd = connectTo(path, onBytes);
    const ended = new Promise<void>((resolve) => readEnd.once('close', () => resolve()));
    const [writeEnd] = (await once(server, 'connection')) as [Socket];
    return { writeEnd, ended, close: () => void readEnd.destroy() };
  } finally {
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function connectTo(path: string, onBytes: (bytes: Uint8Array) => void): Socket {
  const buffer = new Uint8Array(BUFFER_BYTES);
  const onread = {
    buffer,
    callback: (byteCount: number) => {
      onBytes(buffer.subarray(0, byteCount));
      return true;
    },
  };
  // `Socket.connect()` ignores `onread`, unlike this.
  const socket = connect({ path, onread });
  // The process at the other end reports why it went.
  socket.on('error', () => undefined);
  return socket;
}
