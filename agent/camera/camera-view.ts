/**
 * What a camera's frames show, for those who listen: detections with their zones, objects, counts and snapshots. It says
 * which frames needn't be run, too, since nothing moves in them.
 */
import type { Logger } from 'pino';
import type { CameraConfig } from '../config/camera-schema.js';
import { areBoxes } from '../decode/decode-outputs.js';
import type { ImageSource, SnapshotRequest } from '../engine/wire/protocol.js';
import type { EventHub } from '../events/event-hub.js';
import type { Inference, InferResult } from '../serve/infer.js';
import type { Moment, Seen, Sighting } from '../track/object-tracker.js';
import { ObjectTracker } from '../track/object-tracker.js';
import type { ObjectChange } from '../track/tracked-object.js';
import { countObjects } from '../track/tracked-object.js';
import { CameraSnapshots } from './camera-snapshots.js';
import { MotionGate } from './motion-gate.js';
import { checkLabels, sightingOf } from './sighting.js';
import { shapeOfSighting, shapeOfZone } from './view-shapes.js';

export interface ViewOptions {
  readonly inference: Inference;
  /** Draws snapshots. */
  readonly engine: { draw(request: SnapshotRequest): Promise<Uint8Array> };
  readonly hub: EventHub;
  readonly log: Logger;
}

export class CameraView {
  readonly #config: CameraConfig;
  readonly #options: ViewOptions;
  readonly #tracker: ObjectTracker;
  readonly #gate: MotionGate | undefined;
  readonly #snapshots: CameraSnapshots | undefined;
  /** Ends the objects of a camera that gives no frames any more. */
  #expiry: NodeJS.Timeout | undefined;
  /** The counts that were published last, as JSON. */
  #counts = '';

  constructor(config: CameraConfig, options: ViewOptions) {
    this.#config = config;
    this.#options = options;
    this.#tracker = createTracker(config);
    this.#gate = config.motion === false ? undefined : new MotionGate(config.motion);
    this.#snapshots = createSnapshots(config, options);
  }

  /** @throws {RangeError} if a label of the configuration isn't one of the model's. */
  start(): void {
    const known = this.#options.inference.boxLabels(this.#config.model);
    if (known === undefined) return;
    checkLabels(this.#config.labels, known);
    // The counts that a former run left at the broker are out of date.
    this.#publishCounts();
  }

  /** Ends all objects. */
  stop(): void {
    this.#endObjects();
  }

  /** Has a coming frame drawn and published. @throws {RangeError} if the camera gives no snapshots. */
  requestSnapshot(): void {
    if (this.#snapshots === undefined)
      throw new RangeError(`Cannot give a snapshot of camera "${this.#config.name}": its snapshots are off`);
    this.#snapshots.want();
  }

  /** Whether a frame needn't be run. To be asked once for each frame. */
  isStill(frame: ImageSource): boolean {
    const isOpen = this.#gate?.look(frame, performance.now()) ?? true;
    // Tracks end by frames that don't show them. A snapshot is of any frame.
    const isStill = !isOpen && this.#tracker.isEmpty && this.#snapshots?.isWanted !== true;
    if (isStill) this.#tracker.pause();
    return isStill;
  }

  /**
   * Publishes what a frame showed.
   * @returns the end of its snapshot's drawing, which never fails, if there is one. Its bytes must stay till then.
   */
  report(frame: ImageSource, result: InferResult): Promise<void> | undefined {
    const { findings = { detections: [] }, image, plan, latencyMs } = result;
    const { name: camera, model, zones } = this.#config;
    const moment = { at: new Date().toISOString(), nowMs: performance.now() };
    const sightings = findings.detections.map((detection) => sightingOf(detection, image, this.#config));
    const { ids, changes } = this.#see(sightings, moment, result);
    const detections = sightings.map((sighting, at) => ({
      ...sighting.detection,
      ...(zones.length === 0 ? {} : { zones: sighting.zones }),
      ...(ids[at] === undefined ? {} : { object: ids[at] }),
    }));
    const about = { camera, model, at: moment.at, latencyMs, plan };
    // Maps would fill the spool: events have the shares of classes alone.
    const { classMap: _, ...small } = findings;
    this.#options.hub.publish({ kind: 'detections', ...about, findings: { ...small, detections } });
    this.#publishChanges(changes);
    const shapes = () => [
      ...zones.map(shapeOfZone),
      ...sightings.map((sighting, at) => shapeOfSighting(sighting, ids[at])),
    ];
    return this.#snapshots?.offer(frame, shapes, moment.nowMs);
  }

  /** A model whose findings aren't boxes has no objects. */
  #see(sightings: readonly Sighting[], moment: Moment, { findings }: InferResult): Seen {
    if (findings !== undefined && !areBoxes(findings)) return { ids: [], changes: [] };
    const seen = this.#tracker.see(sightings, moment);
    clearTimeout(this.#expiry);
    if (this.#tracker.objects.length > 0)
      this.#expiry = setTimeout(() => this.#endObjects(), this.#tracker.maxAgeMs).unref();
    return seen;
  }

  #endObjects(): void {
    clearTimeout(this.#expiry);
    this.#publishChanges(this.#tracker.endAll());
  }

  #publishChanges(changes: readonly ObjectChange[]): void {
    const { name: camera, model } = this.#config;
    for (const { change, object } of changes)
      this.#options.hub.publish({ kind: 'object', change, camera, model, ...object });
    if (changes.some(({ change }) => change === 'new')) this.#snapshots?.want();
    if (changes.length > 0) this.#publishCounts();
  }

  #publishCounts(): void {
    const { name: camera, zones } = this.#config;
    const report = countObjects(
      this.#tracker.objects,
      zones.map(({ name }) => name),
    );
    const counts = JSON.stringify(report);
    if (counts === this.#counts) return;
    this.#counts = counts;
    this.#options.hub.publish({ kind: 'counts', camera, ...report });
  }
}

function createTracker({ name, objects, fps }: CameraConfig): ObjectTracker {
  const { maxAge, minHits, iouThreshold, updateInterval } = objects;
  return new ObjectTracker({
    maxAgeMs: maxAge * 1000,
    minHits,
    iouThreshold,
    updateMs: updateInterval * 1000,
    frameMs: 1000 / fps,
    // A camera begins at one time once only, unless the clock is set back.
    idPrefix: `${name}-${Date.now().toString(36)}`,
  });
}

function createSnapshots(
  { name: camera, snapshots }: CameraConfig,
  { engine, hub, log }: ViewOptions,
): CameraSnapshots | undefined {
  if (snapshots === false) return undefined;
  const { interval, ...limits } = snapshots;
  const draw = (request: SnapshotRequest) => engine.draw(request);
  return new CameraSnapshots({ camera, limits, intervalMs: interval * 1000, draw, hub, log });
}
