/** All cameras of the node, as a feature: each frame is run, and what is found in it becomes an event. */
import type { CameraStatus } from '../../shared/wire/index.js';
import type { CameraConfig } from '../config/camera-schema.js';
import type { ViewConfig } from '../config/view-schema.js';
import { VIEW_KEYS } from '../config/view-schema.js';
import type { ImageInput, ImageSource } from '../engine/wire/protocol.js';
import { RepeatedLog } from '../report/repeated-log.js';
import { UnavailableError } from '../serve/infer.js';
import type { Camera } from './camera.js';
import type { FrameFate, KeepUntil, PumpCounts } from './camera-pump.js';
import { CameraPump } from './camera-pump.js';
import type { ViewOptions } from './camera-view.js';
import { CameraView } from './camera-view.js';
import { FileCamera } from './file-camera.js';
import { SyntheticCamera } from './synthetic-camera.js';

export interface CamerasOptions extends ViewOptions {
  /** Input of a model's network; undefined while the model isn't served. */
  readonly inputOf: (model: string) => ImageInput | undefined;
}

export interface CameraCounts extends PumpCounts, CameraStatus {
  readonly name: string;
  /** Images of the source that couldn't be decoded before they became frames. */
  readonly broken: number;
}

/** A source that is lost for days is logged no more often. */
const LOSS_INTERVAL_MS = 10 * 60_000;

/** One camera: what gives its frames, and what is made of them. */
interface Eye {
  config: CameraConfig;
  view: CameraView;
  readonly pump: CameraPump;
  /** Why it wasn't started; undefined if it was. */
  fault: string | undefined;
}

export class Cameras {
  #configs: readonly CameraConfig[];
  readonly #options: CamerasOptions;
  readonly #faults: RepeatedLog;
  readonly #losses: RepeatedLog;
  #eyes: readonly Eye[] = [];
  #isStopped = false;

  constructor(configs: readonly CameraConfig[], options: CamerasOptions) {
    this.#configs = configs;
    this.#options = options;
    const write = (about: object, message: string) => options.log.warn(about, message);
    this.#faults = new RepeatedLog({ write });
    this.#losses = new RepeatedLog({ write, intervalMs: LOSS_INTERVAL_MS });
  }

  get counts(): readonly CameraCounts[] {
    return this.#eyes.map((eye) => {
      const { camera, counts } = eye.pump;
      return { name: camera.name, ...statusOf(eye), broken: camera.brokenCount ?? 0, ...counts };
    });
  }

  /** Ids of the processes that cameras run now. */
  get pids(): readonly number[] {
    return this.#eyes.flatMap(({ pump }) => pump.camera.pid ?? []);
  }

  get names(): readonly string[] {
    return this.#configs.map(({ name }) => name);
  }

  /** A camera whose configuration doesn't fit its model isn't started; the others are. */
  async start(): Promise<void> {
    await this.configure(this.#configs);
  }

  /** Waits for the frames that run, and for the end of commands. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#eyes.map(({ pump }) => pump.stop()));
    for (const { view } of this.#eyes) view.stop();
    this.#faults.stop();
    this.#losses.stop();
  }

  /** Stops cameras that aren't in a new configuration, or have another source there. No frame of theirs is lost. */
  async retire(configs: readonly CameraConfig[]): Promise<void> {
    const isKept = ({ config, fault }: Eye) =>
      fault === undefined && configs.some((next) => hasSameSource(next, config));
    const gone = this.#eyes.filter((eye) => !isKept(eye));
    this.#eyes = this.#eyes.filter(isKept);
    await Promise.all(gone.map(({ pump }) => pump.finish()));
    for (const { view } of gone) view.stop();
  }

  /** Takes over a configuration, after `retire`. Cameras whose source stays go on without a break. */
  async configure(configs: readonly CameraConfig[]): Promise<void> {
    this.#configs = configs;
    if (this.#isStopped) return;
    const living = new Map(this.#eyes.map((eye) => [eye.config.name, eye]));
    const begun = new Set<Eye>();
    const eyes = await Promise.all(
      configs.map(async (config) => {
        const known = living.get(config.name);
        const eye = known ?? (await this.#createEye(config));
        if (known === undefined) begun.add(eye);
        return eye;
      }),
    );
    // A module was loaded meanwhile.
    if (this.#isStopped) return;
    this.#eyes = eyes;
    for (const [at, eye] of this.#eyes.entries()) {
      if (begun.has(eye)) this.#begin(eye);
      else this.#look(eye, configs[at] ?? eye.config);
    }
  }

  /** Has the next frame of a camera drawn and published. @throws {RangeError} if it gives no snapshots. */
  requestSnapshot(camera: string): void {
    this.#find(camera, 'give a snapshot of').view.requestSnapshot();
  }

  /** Switches a camera on or off until the next start of the node. @throws {RangeError} if there is no such camera. */
  async setEnabled(camera: string, isEnabled: boolean): Promise<void> {
    const eye = this.#find(camera, 'switch');
    if (eye.pump.isEnabled !== isEnabled)
      this.#options.log.info({ camera, isEnabled }, 'camera switched by a client');
    const switched = eye.pump.setEnabled(isEnabled);
    this.#announce(eye);
    await switched;
  }

  #find(name: string, what: string): Eye {
    const eye = this.#eyes.find(({ config }) => config.name === name);
    if (eye !== undefined) return eye;
    throw new RangeError(
      `Cannot ${what} camera "${name}": expected one of ${this.names.join(', ') || 'none'}`,
    );
  }

  #begin(eye: Eye): void {
    try {
      eye.view.start();
      eye.pump.start();
    } catch (error) {
      const { name: camera } = eye.config;
      eye.fault = error instanceof Error ? error.message : String(error);
      this.#options.log.error({ camera, error: eye.fault }, 'camera not started; going on without it');
    }
    this.#announce(eye);
  }

  /** What counts in the picture may be other than before. */
  #look(eye: Eye, config: CameraConfig): void {
    if (JSON.stringify(eye.config) === JSON.stringify(config)) return;
    const view = new CameraView(config, this.#options);
    eye.view.stop();
    Object.assign(eye, { config, view });
    try {
      view.start();
    } catch (error) {
      const { name: camera } = config;
      this.#options.log.error({ camera, error: String(error) }, 'labels of a camera can never be found');
    }
  }

  #announce(eye: Eye): void {
    const { name: camera } = eye.config;
    const { isEnabled: enabled } = eye.pump;
    this.#options.hub.publish({ kind: 'camera-state', camera, enabled, ...statusOf(eye) });
  }

  async #createEye(config: CameraConfig): Promise<Eye> {
    const { name: camera, enabled: isEnabled } = config;
    const source = await this.#createCamera(config, () => this.#announce(eye));
    const handlers = {
      process: (frame: ImageSource, keepUntil: KeepUntil) => this.#process(frame, eye, keepUntil),
      onError: (error: unknown) => this.#faults.note({ camera, error: String(error) }, 'frame failed'),
    };
    const pump = new CameraPump(source, handlers, { isEnabled });
    const eye: Eye = { config, pump, view: new CameraView(config, this.#options), fault: undefined };
    return eye;
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

  /** Leaves a frame out if nothing moves in it, or if the model doesn't fit into memory now. */
  async #process(frame: ImageSource, { view, config }: Eye, keepUntil: KeepUntil): Promise<FrameFate> {
    if (view.isStill(frame)) return 'still';
    const { model } = config;
    try {
      const result = await this.#options.inference.infer({ model, input: frame, job: { kind: 'frame' } });
      const drawn = view.report(frame, result);
      if (drawn !== undefined) keepUntil(drawn);
      return 'processed';
    } catch (error) {
      if (error instanceof UnavailableError) return 'skipped';
      throw error;
    }
  }
}

function statusOf({ fault, pump }: Eye): CameraStatus {
  return fault === undefined ? pump.status : { state: 'failed', reason: fault };
}

/** Whether two cameras differ in what counts in their pictures at most. */
function hasSameSource(a: CameraConfig, b: CameraConfig): boolean {
  return JSON.stringify(sourceOf(a)) === JSON.stringify(sourceOf(b));
}

function sourceOf(config: CameraConfig): Omit<CameraConfig, keyof ViewConfig> {
  return Object.fromEntries(Object.entries(config).filter(([key]) => !VIEW_KEYS.includes(key))) as Omit<
    CameraConfig,
    keyof ViewConfig
  >;
}
