/** All cameras of the node, as a feature: each frame is run, and what is found in it becomes an event. */
import type { Logger } from 'pino';
import type { CameraStatus } from '../../shared/wire/index.js';
import type { CameraConfig } from '../config/camera-schema.js';
import type { ImageInput, ImageSource } from '../engine/wire/protocol.js';
import type { EventHub } from '../events/event-hub.js';
import { RepeatedLog } from '../report/repeated-log.js';
import type { Inference } from '../serve/infer.js';
import { UnavailableError } from '../serve/infer.js';
import type { Camera } from './camera.js';
import type { PumpCounts } from './camera-pump.js';
import { CameraPump } from './camera-pump.js';
import { FileCamera } from './file-camera.js';
import { SyntheticCamera } from './synthetic-camera.js';

export interface CamerasOptions {
  readonly inference: Inference;
  /** Input of a model's network; undefined while the model isn't served. */
  readonly inputOf: (model: string) => ImageInput | undefined;
  readonly hub: EventHub;
  readonly log: Logger;
}

export interface CameraCounts extends PumpCounts, CameraStatus {
  readonly name: string;
  /** Images of the source that couldn't be decoded before they became frames. */
  readonly broken: number;
}

/** A source that is lost for days is logged no more often. */
const LOSS_INTERVAL_MS = 10 * 60_000;

export class Cameras {
  readonly #configs: readonly CameraConfig[];
  readonly #options: CamerasOptions;
  readonly #faults: RepeatedLog;
  readonly #losses: RepeatedLog;
  #pumps: readonly CameraPump[] = [];

  constructor(configs: readonly CameraConfig[], options: CamerasOptions) {
    this.#configs = configs;
    this.#options = options;
    const write = (about: object, message: string) => options.log.warn(about, message);
    this.#faults = new RepeatedLog({ write });
    this.#losses = new RepeatedLog({ write, intervalMs: LOSS_INTERVAL_MS });
  }

  get counts(): readonly CameraCounts[] {
    return this.#pumps.map(({ camera: { name, brokenCount: broken = 0 }, counts, status }) => ({
      ...{ name, ...status, broken },
      ...counts,
    }));
  }

  /** Ids of the processes that cameras run now. */
  get pids(): readonly number[] {
    return this.#pumps.flatMap(({ camera: { pid } }) => pid ?? []);
  }

  get names(): readonly string[] {
    return this.#configs.map(({ name }) => name);
  }

  async start(): Promise<void> {
    this.#pumps = await Promise.all(this.#configs.map((config) => this.#createPump(config)));
    for (const pump of this.#pumps) {
      pump.start();
      this.#announce(pump);
    }
  }

  /** Waits for the frames that run, and for the end of commands. */
  async stop(): Promise<void> {
    await Promise.all(this.#pumps.map((pump) => pump.stop()));
    this.#faults.stop();
    this.#losses.stop();
  }

  /** Switches a camera on or off until the next start of the node. @throws {RangeError} if there is no such camera. */
  async setEnabled(name: string, isEnabled: boolean): Promise<void> {
    const pump = this.#pumps.find(({ camera }) => camera.name === name);
    if (pump === undefined)
      throw new RangeError(
        `Cannot switch camera "${name}": expected one of ${this.names.join(', ') || 'none'}`,
      );
    if (pump.isEnabled !== isEnabled)
      this.#options.log.info({ camera: name, isEnabled }, 'camera switched by a client');
    const switched = pump.setEnabled(isEnabled);
    this.#announce(pump);
    await switched;
  }

  #announce({ camera: { name }, isEnabled, status }: CameraPump): void {
    this.#options.hub.publish({ kind: 'camera-state', camera: name, enabled: isEnabled, ...status });
  }

  async #createPump(config: CameraConfig): Promise<CameraPump> {
    const { name: camera, enabled: isEnabled } = config;
    const source = await this.#createCamera(config, () => this.#announce(pump));
    const pump = new CameraPump(
      source,
      {
        process: (frame) => processFrame(frame, config, this.#options),
        onError: (error) => this.#faults.note({ camera, error: String(error) }, 'frame failed'),
      },
      { isEnabled },
    );
    return pump;
  }

  /** Commands are loaded only if they are needed. */
  async #createCamera(config: CameraConfig, onStatus: () => void): Promise<Camera> {
    if (config.kind === 'synthetic') return new SyntheticCamera(config);
    if (config.kind === 'file') return new FileCamera(config);
    const { name: camera, model } = config;
    const { CommandCamera } = await import('./command-camera.js');
    return new CommandCamera(config, {
      input: () => this.#options.inputOf(model),
      onStatus,
      onLost: ({ reason, retryMs }) =>
        this.#losses.note({ camera, reason, retryMs }, 'camera lost; starting it again'),
      onBroken: (reason) => this.#faults.note({ camera, reason }, 'image of a camera is broken; left out'),
    });
  }
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
