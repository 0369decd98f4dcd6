/**
 * Makes snapshots of one camera. What wants one says so, and the next frame that was run is drawn, as soon as the last
 * snapshot is done and old enough. So no frame is kept but the one that is being drawn.
 */
import type { Logger } from 'pino';
import type { DrawnShape, ImageSource, SnapshotLimits, SnapshotRequest } from '../engine/wire/protocol.js';
import type { EventHub } from '../events/event-hub.js';

export interface SnapshotOptions {
  readonly camera: string;
  readonly limits: SnapshotLimits;
  /** Least time between two. */
  readonly intervalMs: number;
  /** Has the executor draw. */
  readonly draw: (request: SnapshotRequest) => Promise<Uint8Array>;
  readonly hub: EventHub;
  readonly log: Logger;
}

/** Most shapes of a snapshot. */
const MAX_SHAPES = 100;

export class CameraSnapshots {
  readonly #options: SnapshotOptions;
  #isWanted = false;
  #isDrawing = false;
  #startedMs = Number.NEGATIVE_INFINITY;

  constructor(options: SnapshotOptions) {
    this.#options = options;
  }

  /** Whether a snapshot waits for a frame. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  want(): void {
    this.#isWanted = true;
  }

  /**
   * Draws a frame if a snapshot is wanted and due.
   * @returns the end of the drawing, which never fails; undefined if it isn't drawn. Its bytes must stay till then.
   */
  offer(image: ImageSource, shapes: () => readonly DrawnShape[], nowMs: number): Promise<void> | undefined {
    const isEarly = nowMs - this.#startedMs < this.#options.intervalMs;
    if (!this.#isWanted || this.#isDrawing || isEarly) return undefined;
    this.#isWanted = false;
    this.#isDrawing = true;
    this.#startedMs = nowMs;
    const { camera, limits, draw, hub, log } = this.#options;
    return draw({ kind: 'snapshot', image, shapes: shapes().slice(0, MAX_SHAPES), limits })
      .then((jpeg) => hub.publish({ kind: 'snapshot', camera, jpeg }))
      .catch((error: unknown) => log.warn({ camera, error: String(error) }, 'snapshot not made; dropped'))
      .finally(() => {
        this.#isDrawing = false;
      });
  }
}
