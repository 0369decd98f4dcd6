/** A camera whose frames come from a command, which is supervised. Loaded only where such a camera is configured. */
import type { CameraStatus } from '../../shared/wire/index.js';
import type { FfmpegConfig, LibcameraConfig } from '../config/camera-schema.js';
import type { Camera, OnFrame } from './camera.js';
import type { CommandPlan } from './command-process.js';
import { CommandProcess } from './command-process.js';
import type { CameraLoss } from './command-supervisor.js';
import { CommandSupervisor } from './command-supervisor.js';
import type { FrameInput } from './ffmpeg-command.js';
import { planFfmpeg } from './ffmpeg-command.js';
import { FramePool } from './frame-pool.js';
import { planLibcamera } from './libcamera-command.js';

export interface CommandCameraOptions {
  /** Input of the camera's model; undefined while it isn't served. */
  readonly input: () => FrameInput | undefined;
  readonly onStatus: (status: CameraStatus) => void;
  readonly onLost: (loss: CameraLoss) => void;
  /** Called for each image that is broken and left out. */
  readonly onBroken: (reason: string) => void;
  /** Pauses before the next start, in turn. */
  readonly pausesMs?: readonly number[];
}

export class CommandCamera implements Camera {
  readonly name: string;
  readonly #config: FfmpegConfig | LibcameraConfig;
  readonly #options: CommandCameraOptions;
  #pool = new FramePool();
  readonly #supervisor: CommandSupervisor;
  #onFrame: OnFrame = () => undefined;
  #process: CommandProcess | undefined;
  #brokenCount = 0;

  constructor(config: FfmpegConfig | LibcameraConfig, options: CommandCameraOptions) {
    this.name = config.name;
    this.#config = config;
    this.#options = options;
    const { firstFrameTimeout, stallTimeout, fps } = config;
    const { onStatus, onLost, pausesMs } = options;
    this.#supervisor = new CommandSupervisor({
      onStatus,
      onLost,
      ...(pausesMs === undefined ? {} : { pausesMs }),
      createCommand: () => this.#createProcess(),
      firstFrameMs: firstFrameTimeout * 1000,
      // At a slow rate frames are far apart.
      stallMs: Math.max(stallTimeout * 1000, 2000 / fps),
    });
  }

  get status(): CameraStatus {
    return this.#supervisor.status;
  }

  get brokenCount(): number {
    return this.#brokenCount;
  }

  /** Id of the command's process; undefined if there is none. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  start(onFrame: OnFrame): void {
    this.#onFrame = onFrame;
    this.#supervisor.start();
  }

  async stop(): Promise<void> {
    this.#process = undefined;
    await this.#supervisor.stop();
    // A camera that is switched off holds no buffers.
    this.#pool = new FramePool();
  }

  #createProcess(): CommandProcess {
    const process: CommandProcess = new CommandProcess(() => this.#plan(() => this.#process === process));
    this.#process = process;
    return process;
  }

  /** @param isCurrent whether frames of this run still count. */
  #plan(isCurrent: () => boolean): Promise<CommandPlan> {
    const onFrame: OnFrame = (image, release) => {
      if (!isCurrent()) return release?.();
      this.#supervisor.countFrame();
      this.#onFrame(image, release);
    };
    const [config, pool] = [this.#config, this.#pool];
    if (config.kind === 'libcamera') return planLibcamera({ config, pool, onFrame });
    const input = this.#options.input();
    if (input === undefined) throw new RangeError(`Cannot fit frames: model "${config.model}" isn't served`);
    const onBroken = (reason: string) => {
      this.#brokenCount += 1;
      this.#options.onBroken(reason);
    };
    return planFfmpeg({
      config,
      input,
      pool,
      onBroken,
      onFrame: (image, release) => {
        if (isSameInput(input, this.#options.input())) return onFrame(image, release);
        release?.();
        this.#supervisor.restart('its model has another input now');
      },
    });
  }
}

/** A model that isn't served at the moment may come back as it was. */
function isSameInput(planned: FrameInput, now: FrameInput | undefined): boolean {
  if (now === undefined) return true;
  const partsOf = ({ width, height, resize, margin }: FrameInput) =>
    [width, height, resize, margin?.grey, margin?.place].join();
  return partsOf(planned) === partsOf(now);
}
