/** All cameras of the node, as a feature: each frame is run, and what is found in it becomes an event. */
import type { CameraConfig } from '../config/config-schema.js';
import type { ImageSource } from '../engine/wire/protocol.js';
import { UnavailableError } from '../serve/infer.js';
import type { Camera } from './camera.js';
import type { FrameFate, PumpCounts } from './camera-pump.js';
import { CameraPump } from './camera-pump.js';
import type { ViewOptions } from './camera-view.js';
import { CameraView } from './camera-view.js';
import { FileCamera } from './file-camera.js';
import { SyntheticCamera } from './synthetic-camera.js';

export type CamerasOptions = ViewOptions;

export interface CameraCounts extends PumpCounts {
  readonly name: string;
}

/** One camera: what gives its frames, and what is made of them. */
interface Eye {
  readonly pump: CameraPump;
  readonly view: CameraView;
}

export class Cameras {
  readonly #eyes: readonly Eye[];
  readonly #options: CamerasOptions;

  constructor(configs: readonly CameraConfig[], options: CamerasOptions) {
    this.#options = options;
    this.#eyes = configs.map((config) => createEye(config, options));
  }

  get counts(): readonly CameraCounts[] {
    return this.#eyes.map(({ pump: { camera, counts } }) => ({ name: camera.name, ...counts }));
  }

  /** A camera whose configuration doesn't fit its model isn't started; the others are. */
  start(): void {
    for (const { pump, view } of this.#eyes) {
      try {
        view.start();
        pump.start();
      } catch (error) {
        const camera = pump.camera.name;
        this.#options.log.error({ camera, error: String(error) }, 'camera not started; going on without it');
      }
    }
  }

  /** Waits for the frames that run. */
  async stop(): Promise<void> {
    await Promise.all(this.#eyes.map(({ pump }) => pump.stop()));
    for (const { view } of this.#eyes) view.stop();
  }

  /** Has the next frame of a camera drawn and published. @throws {RangeError} if it gives no snapshots. */
  requestSnapshot(camera: string): void {
    const eye = this.#eyes.find(({ pump }) => pump.camera.name === camera);
    if (eye === undefined) throw new RangeError(`Cannot give a snapshot: there is no camera "${camera}"`);
    eye.view.requestSnapshot();
  }
}

function createEye(config: CameraConfig, options: CamerasOptions): Eye {
  const camera: Camera = config.kind === 'synthetic' ? new SyntheticCamera(config) : new FileCamera(config);
  const view = new CameraView(config, options);
  const pump = new CameraPump(camera, {
    process: (frame) => processFrame(frame, view, { config, options }),
    onError: (error) => options.log.warn({ camera: config.name, error: String(error) }, 'frame failed'),
  });
  return { pump, view };
}

interface FrameContext {
  readonly config: CameraConfig;
  readonly options: CamerasOptions;
}

/** Leaves a frame out if nothing moves in it, or if the model doesn't fit into memory now. */
async function processFrame(
  frame: ImageSource,
  view: CameraView,
  { config: { model }, options: { inference } }: FrameContext,
): Promise<FrameFate> {
  if (view.isStill(frame)) return 'still';
  try {
    view.report(frame, await inference.infer({ model, input: frame, job: { kind: 'frame' } }));
    return 'processed';
  } catch (error) {
    if (error instanceof UnavailableError) return 'skipped';
    throw error;
  }
}
