/** All cameras of the node, as a feature: each frame is run, and what is found in it becomes an event. */
import type { Logger } from 'pino';
import type { CameraConfig } from '../config/config-schema.js';
import type { ImageSource } from '../engine/wire/protocol.js';
import type { EventHub } from '../events/event-hub.js';
import type { Inference } from '../serve/infer.js';
import { UnavailableError } from '../serve/infer.js';
import type { Camera } from './camera.js';
import type { PumpCounts } from './camera-pump.js';
import { CameraPump } from './camera-pump.js';
import { FileCamera } from './file-camera.js';
import { SyntheticCamera } from './synthetic-camera.js';

export interface CamerasOptions {
  readonly inference: Inference;
  readonly hub: EventHub;
  readonly log: Logger;
}

export interface CameraCounts extends PumpCounts {
  readonly name: string;
}

export class Cameras {
  readonly #pumps: readonly CameraPump[];

  constructor(configs: readonly CameraConfig[], options: CamerasOptions) {
    this.#pumps = configs.map((config) => createPump(config, options));
  }

  get counts(): readonly CameraCounts[] {
    return this.#pumps.map(({ camera: { name }, counts }) => ({ name, ...counts }));
  }

  start(): void {
    for (const pump of this.#pumps) pump.start();
  }

  /** Waits for the frames that run. */
  async stop(): Promise<void> {
    await Promise.all(this.#pumps.map((pump) => pump.stop()));
  }
}

function createPump(config: CameraConfig, options: CamerasOptions): CameraPump {
  const camera: Camera = config.kind === 'synthetic' ? new SyntheticCamera(config) : new FileCamera(config);
  return new CameraPump(camera, {
    process: (frame) => processFrame(frame, config, options),
    onError: (error) => options.log.warn({ camera: config.name, error: String(error) }, 'frame failed'),
  });
}

/** @returns false if the frame was left out because the model doesn't fit into memory now. */
async function processFrame(
  frame: ImageSource,
  { name, model }: CameraConfig,
  { inference, hub }: CamerasOptions,
): Promise<boolean> {
  try {
    const { latencyMs, plan, findings } = await inference.infer({
      model,
      input: frame,
      job: { kind: 'frame' },
    });
    const at = new Date().toISOString();
    hub.publish({
      kind: 'detections',
      camera: name,
      model,
      at,
      latencyMs,
      plan,
      findings: findings ?? { detections: [] },
    });
    return true;
  } catch (error) {
    if (error instanceof UnavailableError) return false;
    throw error;
  }
}
