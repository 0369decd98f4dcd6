/** Small servers of video for tests, which can die and come back at the same port. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Server as HttpServer, ServerResponse } from 'node:http';
import { createServer as createHttpServer } from 'node:http';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { TestContext } from 'node:test';
import sharp from 'sharp';
import { drawFrame } from '../../agent/camera/synthetic-camera.js';

export interface VideoServer {
  /** Cuts all connections and listens no more. */
  stop(): Promise<void>;
}

export interface MjpegServer extends VideoServer {
  /** Sends nothing any more, and keeps connections open. */
  pause(): void;
  /** Sends other images from now on, or one that is broken or empty. */
  send(picture: { readonly width?: number; readonly isBroken?: boolean; readonly isEmpty?: boolean }): void;
}

const INTERVAL_MS = 20;

/** Sends an image of 120x90 again and again, as multipart/x-mixed-replace. */
export async function startMjpegServer(context: TestContext, port: number): Promise<MjpegServer> {
  const clients = new Set<ServerResponse>();
  const server = createHttpServer((_, response) => {
    response.writeHead(200, { 'content-type': 'multipart/x-mixed-replace; boundary=next' });
    response.flushHeaders();
    clients.add(response);
  });
  let image = await jpegOf(120);
  const sendAll = (bytes: Uint8Array) => {
    for (const client of clients) {
      client.write(`--next\r\nContent-Type: image/jpeg\r\nContent-Length: ${bytes.length}\r\n\r\n`);
      client.write(bytes);
      client.write('\r\n');
    }
  };
  const timer = setInterval(() => sendAll(image), INTERVAL_MS);
  const { stop } = await listen(server, port, () => clearInterval(timer));
  context.after(stop);
  return {
    stop,
    pause: () => clearInterval(timer),
    send: ({ width, isBroken = false, isEmpty = false }) => {
      if (isBroken) sendAll(image.subarray(0, image.length / 3));
      if (isEmpty) sendAll(new Uint8Array());
      if (width !== undefined)
        void jpegOf(width).then((bytes) => {
          image = bytes;
        });
    },
  };
}

function jpegOf(width: number): Promise<Buffer> {
  const size = { width, height: 90 };
  return sharp(drawFrame(0, size), { raw: { ...size, channels: 3 } })
    .jpeg()
    .toBuffer();
}

/** A stream of MPEG-2 for each client, as it comes from an ffmpeg of its own. */
export async function startTcpServer(context: TestContext, port: number): Promise<VideoServer> {
  const sources = new Sources();
  const server = createServer((socket) => {
    sources.open(socket, (bytes) => socket.write(bytes));
  });
  const { stop } = await listen(server, port, () => sources.stop());
  context.after(stop);
  return { stop };
}

/** As much of RTSP as ffmpeg needs: one stream of MPEG-2 TS, in RTP packets within the connection (RFC 2326, 10.12). */
export async function startRtspServer(context: TestContext, port: number): Promise<VideoServer> {
  const sources = new Sources();
  const server = createServer((socket) => {
    let text = '';
    let isPlaying = false;
    socket.on('data', (bytes) => {
      // Reports of reception come in the same connection.
      if (!isPlaying) text += bytes.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const request = text.slice(0, end);
        text = text.slice(end + 4);
        socket.write(answerTo(request));
        if (!request.startsWith('PLAY')) continue;
        isPlaying = true;
        sources.open(socket, packetWriter(socket));
      }
    });
  });
  const { stop } = await listen(server, port, () => sources.stop());
  context.after(stop);
  return { stop };
}

const SDP = [
  'v=0',
  'o=- 0 0 IN IP4 127.0.0.1',
  's=test',
  't=0 0',
  'm=video 0 RTP/AVP 33',
  'c=IN IP4 0.0.0.0',
  'a=control:track1',
  '',
].join('\r\n');

function answerTo(request: string): string {
  const [, method = ''] = /^(\w+) /.exec(request) ?? [];
  const [, sequence = ''] = /\nCSeq: *(\d+)/i.exec(request) ?? [];
  const headers: Readonly<Record<string, readonly string[]>> = {
    OPTIONS: ['Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN'],
    DESCRIBE: ['Content-Type: application/sdp', `Content-Length: ${SDP.length}`],
    SETUP: ['Session: 1', 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1'],
    PLAY: ['Session: 1'],
  };
  const lines = ['RTSP/1.0 200 OK', `CSeq: ${sequence}`, ...(headers[method] ?? []), '', ''];
  return lines.join('\r\n') + (method === 'DESCRIBE' ? SDP : '');
}

/** Bytes of seven packets of MPEG-2 TS, which fit into one of RTP. */
const PACKET_BYTES = 7 * 188;

/** Sends a stream in RTP packets (RFC 3550, 5.1), each after four bytes that tell it from answers. */
function packetWriter(socket: Socket): (bytes: Buffer) => void {
  let rest = Buffer.alloc(0);
  let sequence = 0;
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    for (; rest.length >= PACKET_BYTES; rest = rest.subarray(PACKET_BYTES)) {
      const header = Buffer.alloc(16);
      header.write('$');
      header.writeUInt16BE(12 + PACKET_BYTES, 2);
      header.writeUInt8(0x80, 4);
      header.writeUInt8(33, 5);
      header.writeUInt16BE(sequence % 65_536, 6);
      header.writeUInt32BE(sequence * 3000, 8);
      sequence += 1;
      socket.write(Buffer.concat([header, rest.subarray(0, PACKET_BYTES)]));
    }
  };
}

/** One ffmpeg for each client, which ends with its connection. */
class Sources {
  readonly #children = new Set<ChildProcess>();

  open(socket: Socket, write: (bytes: Buffer) => void): void {
    const picture = ['-re', '-f', 'lavfi', '-i', 'testsrc=size=160x120:rate=25'];
    const stream = ['-c:v', 'mpeg2video', '-g', '5', '-f', 'mpegts', '-flush_packets', '1', 'pipe:1'];
    const child = spawn('ffmpeg', ['-v', 'error', '-nostdin', ...picture, ...stream], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#children.add(child);
    child.stdout.on('data', write);
    socket.on('error', () => undefined);
    socket.on('close', () => child.kill('SIGKILL'));
    child.on('exit', () => socket.destroy());
  }

  stop(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }
}

async function listen(
  server: Server | HttpServer,
  port: number,
  onStop: () => void,
): Promise<{ readonly stop: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  let stopped: Promise<void> | undefined;
  const stop = async () => {
    onStop();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return {
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}
