/** Pictures of a camera that libcamera knows, such as those of a Raspberry Pi: JPEG images, decoded by the executor. */
import type { LibcameraConfig } from '../config/camera-schema.js';
import { redact, secretsOf } from '../config/redact.js';
import type { OnFrame } from './camera.js';
import type { CommandPlan } from './command-process.js';
import { findCommand } from './find-command.js';
import type { FramePool } from './frame-pool.js';
import { JpegFrames } from './jpeg-frames.js';

export interface LibcameraOptions {
  readonly config: LibcameraConfig;
  readonly pool: FramePool;
  readonly onFrame: OnFrame;
}

/** The command's name since 2023, and before. */
const COMMANDS = ['rpicam-vid', 'libcamera-vid'] as const;

/** Sensors don't go slower than this. */
const LEAST_RATE = 1;

/** @throws {RangeError} if there is no such command. */
export async function planLibcamera({ config, pool, onFrame }: LibcameraOptions): Promise<CommandPlan> {
  const { name, fps, command, options } = config;
  const secrets = secretsOf('', options);
  const pace = new FramePace(fps);
  const frames = new JpegFrames({
    pool,
    onFrame: (bytes, release) => {
      if (pace.isDue(performance.now())) onFrame({ kind: 'bytes', name, bytes }, release);
      else release();
    },
  });
  return {
    file: await findCommand(command === null ? COMMANDS : [command]),
    args: libcameraArguments(config),
    onBytes: (bytes) => frames.take(bytes),
    readLine: (line) => redact(line, secrets),
    onEnd: () => frames.end(),
  };
}

export function libcameraArguments({ width, height, fps, options }: LibcameraConfig): readonly string[] {
  return [
    ...['--nopreview', '--timeout', '0', '--codec', 'mjpeg', '--flush'],
    ...['--width', String(width), '--height', String(height)],
    ...['--framerate', String(Math.max(fps, LEAST_RATE)), ...options, '--output', '-'],
  ];
}

/** Leaves frames out where a camera gives more than are wanted. */
class FramePace {
  readonly #intervalMs: number;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(fps: number) {
    this.#intervalMs = 1000 / fps;
  }

  /** Frames at the wanted rate come a little early at times. */
  isDue(nowMs: number): boolean {
    if (nowMs - this.#lastMs < this.#intervalMs * 0.9) return false;
    this.#lastMs = nowMs;
    return true;
  }
}
