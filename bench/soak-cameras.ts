/** The cameras of the soak: one that makes its frames itself, and one whose source is a stream that stops now and then. */
import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEMO_MODEL } from '../demo/demo-model.js';
import { freePort } from './service-port.js';

const FPS = 1;

/** Pause before a stream that has ended, as each does when its reader goes, is offered again. */
const AGAIN_MS = 500;

/** An MJPEG stream over HTTP by ffmpeg, for one reader at a time. */
export class CameraStream {
  readonly url: string;
  #child: ChildProcess | undefined;
  #isAway = false;
  #isStopped = false;

  private constructor(port: number) {
    this.url = `http://127.0.0.1:${port}/stream`;
  }

  /** @returns undefined if ffmpeg isn't installed. */
  static async start(): Promise<CameraStream | undefined> {
    if (spawnSync('ffmpeg', ['-version']).error !== undefined) return undefined;
    const stream = new CameraStream(await freePort());
    stream.#offer();
    return stream;
  }

  /** The stream is away for some time. */
  async interrupt(awayMs: number): Promise<void> {
    this.#isAway = true;
    this.#child?.kill('SIGKILL');
    await sleep(awayMs);
    this.#isAway = false;
    if (!this.#isStopped) this.#offer();
  }

  stop(): void {
    this.#isStopped = true;
    this.#child?.kill('SIGKILL');
  }

  #offer(): void {
    const source = ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x480:rate=5'];
    const output = ['-c:v', 'mjpeg', '-f', 'mpjpeg', '-listen', '1', this.url];
    const child = spawn('ffmpeg', ['-loglevel', 'quiet', ...source, ...output], { stdio: 'ignore' });
    this.#child = child;
    child.once('exit', () => {
      setTimeout(() => {
        if (!this.#isAway && !this.#isStopped && this.#child === child) this.#offer();
      }, AGAIN_MS);
    });
  }
}

/** Configuration of all cameras. @param image path of a picture, for where there is no stream. */
export function soakCameras(stream: CameraStream | undefined, image: string) {
  const source = { name: 'source', model: DEMO_MODEL, fps: FPS };
  return [
    { kind: 'synthetic', name: 'synthetic', model: DEMO_MODEL, fps: FPS },
    stream === undefined
      ? { kind: 'file', ...source, files: [image] }
      : { kind: 'ffmpeg', ...source, url: stream.url },
  ];
}
