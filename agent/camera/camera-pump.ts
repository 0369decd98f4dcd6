/** Feeds a camera's frames to a model, one at a time, always the latest. Switches the camera on and off. */

import type { CameraStatus } from '../../shared/wire/index.js';
import type { ImageSource } from '../engine/wire/protocol.js';
import type { Camera } from './camera.js';
import type { FrameCounts } from './frame-slot.js';
import { FrameSlot } from './frame-slot.js';

/** Counts of one camera's frames by what became of them. */
export interface PumpCounts extends FrameCounts {
  readonly processed: number;
  /** Frames left out because the model doesn't fit into memory. */
  readonly skipped: number;
  /** Frames left out because nothing moved. */
  readonly still: number;
  readonly failed: number;
}

/** What became of a frame that didn't fail. */
export type FrameFate = 'processed' | 'skipped' | 'still';

/** Keeps a frame's bytes as they are until a use has ended, which never fails. */
export type KeepUntil = (use: Promise<void>) => void;

export interface PumpHandlers {
  /** Runs one frame, or leaves it out. */
  readonly process: (frame: ImageSource, keepUntil: KeepUntil) => Promise<FrameFate>;
  /** Called with what `process` threw. The pump goes on with the next frame. */
  readonly onError: (error: unknown) => void;
}

export interface PumpOptions {
  /** Whether the camera runs from the start on. */
  readonly isEnabled?: boolean;
}

interface Frame {
  readonly image: ImageSource;
  /** Called when the image isn't read any more. */
  readonly release: (() => void) | undefined;
}

export class CameraPump {
  readonly camera: Camera;
  readonly #handlers: PumpHandlers;
  readonly #slot = new FrameSlot<Frame>(({ release }) => release?.());
  #controller: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();
  #counts = { processed: 0, skipped: 0, still: 0, failed: 0 };
  #isEnabled: boolean;
  /** Whether the camera was started last, and not stopped. */
  #isOn = false;
  #isFinishing = false;
  /** The last change of the camera that was begun. */
  #switching: Promise<void> = Promise.resolve();
  /** The change after that. One is enough, however often the camera is switched: it looks at the last wish. */
  #next: Promise<void> | undefined;

  constructor(camera: Camera, handlers: PumpHandlers, { isEnabled = true }: PumpOptions = {}) {
    this.camera = camera;
    this.#handlers = handlers;
    this.#isEnabled = isEnabled;
  }

  get counts(): PumpCounts {
    return { ...this.#slot.counts, ...this.#counts };
  }

  get isEnabled(): boolean {
    return this.#isEnabled;
  }

  get status(): CameraStatus {
    if (!this.#isEnabled) return { state: 'disabled', reason: null };
    return this.camera.status ?? { state: 'running', reason: null };
  }

  start(): void {
    const controller = new AbortController();
    this.#controller = controller;
    this.#isOn = this.#isEnabled;
    if (this.#isOn) this.#startCamera();
    this.#running = this.#pump(controller.signal);
  }

  /** Stops the camera and waits for the frame that is being processed. One that waits is dropped. */
  async stop(): Promise<void> {
    this.#controller?.abort();
    await Promise.all([this.#follow(), this.#running]);
  }

  /** Stops the camera, and processes the frame that waits, too. */
  async finish(): Promise<void> {
    this.#isFinishing = true;
    await this.stop();
  }

  /** Switches the camera on or off; the last call counts. Resolves when it is done. */
  setEnabled(isEnabled: boolean): Promise<void> {
    this.#isEnabled = isEnabled;
    return this.#follow();
  }

  /** Makes the camera what it should be, after what was begun before. */
  #follow(): Promise<void> {
    this.#next ??= this.#switching.then(async () => {
      this.#next = undefined;
      const isWanted = this.#isEnabled && this.#controller?.signal.aborted === false;
      if (isWanted === this.#isOn) return;
      this.#isOn = isWanted;
      if (isWanted) this.#startCamera();
      else await this.camera.stop();
    });
    this.#switching = this.#next;
    return this.#next;
  }

  #startCamera(): void {
    this.camera.start((image, release) => this.#slot.offer({ image, release }));
  }

  async #pump(signal: AbortSignal): Promise<void> {
    while (!signal.aborted || this.#isFinishing) {
      const frame = await this.#slot.take(signal).catch(() => undefined);
      if (frame === undefined) return;
      await this.#process(frame);
    }
  }

  async #process({ image, release }: Frame): Promise<void> {
    let lastUse: Promise<void> | undefined;
    try {
      this.#counts[await this.#handlers.process(image, (use) => (lastUse = use))] += 1;
    } catch (error) {
      this.#counts.failed += 1;
      this.#handlers.onError(error);
    } finally {
      if (lastUse === undefined) release?.();
      else void lastUse.then(release);
    }
  }
}
