/** Feeds a camera's frames to a model, one at a time, always the latest. */

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

export interface PumpHandlers {
  /** Runs one frame, or leaves it out. */
  readonly process: (frame: ImageSource) => Promise<FrameFate>;
  /** Called with what `process` threw. The pump goes on with the next frame. */
  readonly onError: (error: unknown) => void;
}

export class CameraPump {
  readonly camera: Camera;
  readonly #handlers: PumpHandlers;
  readonly #slot = new FrameSlot<ImageSource>();
  #controller: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();
  #counts = { processed: 0, skipped: 0, still: 0, failed: 0 };

  constructor(camera: Camera, handlers: PumpHandlers) {
    this.camera = camera;
    this.#handlers = handlers;
  }

  get counts(): PumpCounts {
    return { ...this.#slot.counts, ...this.#counts };
  }

  start(): void {
    const controller = new AbortController();
    this.#controller = controller;
    this.camera.start((frame) => this.#slot.offer(frame));
    this.#running = this.#pump(controller.signal);
  }

  /** Stops the camera and waits for the frame that is being processed. */
  async stop(): Promise<void> {
    this.camera.stop();
    this.#controller?.abort();
    await this.#running;
  }

  async #pump(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const frame = await this.#slot.take(signal).catch(() => undefined);
      if (frame === undefined) return;
      try {
        this.#counts[await this.#handlers.process(frame)] += 1;
      } catch (error) {
        this.#counts.failed += 1;
        this.#handlers.onError(error);
      }
    }
  }
}
