/**
 * Signals of memory pressure from the service manager, by the protocol of https://systemd.io/MEMORY_PRESSURE.
 *
 * MEMORY_PRESSURE_WATCH names a FIFO, a stream socket or a pressure file of the kernel; what MEMORY_PRESSURE_WRITE
 * holds in Base64 is written into it first. Data from a FIFO or a socket means pressure. A pressure file signals by
 * POLLPRI, which Node.js can't wait for: it isn't opened here, and the memory watch polls its figures (stall-meter.ts).
 */
import type { Stats } from 'node:fs';
import { constants, openSync, statSync } from 'node:fs';
import { connect, Socket } from 'node:net';

export class PressureSignal {
  readonly #onPressure: () => void;
  readonly #environment: NodeJS.ProcessEnv;
  #socket: Socket | undefined;

  constructor(onPressure: () => void, environment: NodeJS.ProcessEnv = process.env) {
    this.#onPressure = onPressure;
    this.#environment = environment;
  }

  /** Listens if there is something to listen to; keeps no process alive. */
  start(): void {
    const { MEMORY_PRESSURE_WATCH: path, MEMORY_PRESSURE_WRITE: settings } = this.#environment;
    const socket = path === undefined ? undefined : openSignal(path);
    if (socket === undefined) return;
    this.#socket = socket;
    socket.on('data', this.#onPressure);
    // A sender that goes takes its signals with it; memory is sampled all the same.
    socket.on('error', () => socket.destroy());
    if (settings !== undefined) socket.write(Buffer.from(settings, 'base64'));
    socket.unref();
  }

  stop(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }
}

/** Undefined for a file that can't be waited for, such as /dev/null, by which the service manager asks for no signals. */
function openSignal(path: string): Socket | undefined {
  try {
    return connectTo(path, statSync(path));
  } catch {
    // It is absent, or not ours to open.
    return undefined;
  }
}

function connectTo(path: string, kind: Stats): Socket | undefined {
  if (kind.isSocket()) return connect(path);
  if (!kind.isFIFO()) return undefined;
  // Also for writing: a FIFO that is only read ends with its first writer.
  const descriptor = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  return new Socket({ fd: descriptor, readable: true, writable: true });
}
