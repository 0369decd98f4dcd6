/**
 * Turns the detections of a camera's frames into objects: each label is followed by a tracker of its own, and an object
 * has a beginning, updates and an end.
 *
 * An object ends when it wasn't seen for `maxAgeMs`, or for two frames where these take longer: a slow model leaves
 * seconds between its frames, and one missed detection must not end an object.
 */
import { elementAt, valueFor } from '../../shared/graph/index.js';
import type { Box, Detection } from '../decode/detection.js';
import { SortTracker } from './sort-tracker.js';
import type { ObjectChange, TrackedObject } from './tracked-object.js';

export interface ObjectTrackerOptions {
  readonly maxAgeMs: number;
  readonly minHits: number;
  readonly iouThreshold: number;
  /** Time between two updates of an object, unless its zones change. */
  readonly updateMs: number;
  /** Time between two frames of the camera. */
  readonly frameMs: number;
  /** First part of all ids. */
  readonly idPrefix: string;
}

/** A detection in one frame. */
export interface Sighting {
  readonly detection: Detection;
  /** Its box relative to the picture. */
  readonly place: Box;
  /** Whether it is of an object. If so, width and height of its box are above 0. */
  readonly isCounted: boolean;
  readonly zones: readonly string[];
}

/** The time of a frame: ISO 8601, and by a clock that doesn't jump. */
export interface Moment {
  readonly at: string;
  readonly nowMs: number;
}

export interface Seen {
  /** Id of each sighting's object; undefined where there is none yet. */
  readonly ids: readonly (string | undefined)[];
  readonly changes: readonly ObjectChange[];
}

/**
 * Most tracks of one camera, over all labels. More are noise, and all of them take 8 ms a frame at most (x86-64), a few
 * times as much on a small board, while the event loop stands.
 */
export const MAX_TRACKS = 100;

/** Frames without a detection that an object outlives, and a bit for frames that come late. */
const MISSED_FRAMES = 2.5;

/** A longer interval is a pause of the camera, and no model's latency. */
const LONGEST_FRAME_MS = 60_000;

interface Entry {
  object: TrackedObject;
  reportedMs: number;
}

export class ObjectTracker {
  readonly #options: ObjectTrackerOptions;
  readonly #trackers = new Map<string, SortTracker>();
  readonly #entries = new Map<string, Entry>();
  #lastId = 0;
  #lastMs: number | undefined;
  #frameMs: number;

  constructor(options: ObjectTrackerOptions) {
    this.#options = options;
    this.#frameMs = options.frameMs;
  }

  get objects(): readonly TrackedObject[] {
    return [...this.#entries.values()].map(({ object }) => object);
  }

  /** Whether nothing is followed, not even what isn't an object yet. */
  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /** Time after its last detection at which an object ends, by the rate of the frames so far. */
  get maxAgeMs(): number {
    return Math.max(this.#options.maxAgeMs, MISSED_FRAMES * this.#frameMs);
  }

  /** Takes in what one frame shows, the most confident first. */
  see(sightings: readonly Sighting[], moment: Moment): Seen {
    this.#measureRate(moment.nowMs);
    const ids = new Array<string | undefined>(sightings.length).fill(undefined);
    const ended: string[] = [];
    for (const [label, members] of this.#byLabel(sightings)) {
      const boxes = members.map((at) => elementAt(sightings, at).place);
      const tracked = this.#follow(label, boxes, moment.nowMs);
      for (const [index, at] of members.entries()) ids[at] = this.#nameOf(tracked.ids[index]);
      ended.push(...tracked.ended.flatMap((id) => this.#nameOf(id) ?? []));
    }
    const seen = sightings.flatMap((sighting, at) => this.#take(sighting, ids[at], moment) ?? []);
    return { ids, changes: [...seen, ...ended.map((id) => this.#end(id))] };
  }

  /** Ends all objects, as when the camera gives no frames any more. */
  endAll(): readonly ObjectChange[] {
    this.#trackers.clear();
    return [...this.#entries.keys()].map((id) => this.#end(id));
  }

  /** Frames are left out on purpose until the next one that is seen; so their interval says nothing. */
  pause(): void {
    this.#lastMs = undefined;
  }

  #measureRate(nowMs: number): void {
    if (this.#lastMs !== undefined) this.#frameMs = Math.min(nowMs - this.#lastMs, LONGEST_FRAME_MS);
    this.#lastMs = nowMs;
  }

  /** Places of the sightings of each label, and of labels that were seen before. */
  #byLabel(sightings: readonly Sighting[]): ReadonlyMap<string, readonly number[]> {
    const members = new Map<string, number[]>([...this.#trackers.keys()].map((label) => [label, []]));
    const counted = sightings.flatMap(({ isCounted }, at) => (isCounted ? [at] : []));
    for (const at of counted.slice(0, MAX_TRACKS)) {
      const { label } = elementAt(sightings, at).detection;
      const others = members.get(label);
      if (others === undefined) members.set(label, [at]);
      else others.push(at);
    }
    return members;
  }

  #follow(label: string, boxes: readonly Box[], nowMs: number) {
    const tracker = this.#trackers.get(label) ?? this.#createTracker();
    this.#trackers.set(label, tracker);
    const room = MAX_TRACKS - this.#size + tracker.size;
    const tracked = tracker.update(boxes, { nowMs, maxAgeMs: this.maxAgeMs, room });
    if (tracker.size === 0) this.#trackers.delete(label);
    return tracked;
  }

  get #size(): number {
    return [...this.#trackers.values()].reduce((sum, { size }) => sum + size, 0);
  }

  #createTracker(): SortTracker {
    const { minHits, iouThreshold, frameMs } = this.#options;
    const nextId = () => {
      this.#lastId += 1;
      return this.#lastId;
    };
    return new SortTracker({ minHits, iouThreshold, frameMs, nextId });
  }

  #nameOf(id: number | undefined): string | undefined {
    return id === undefined ? undefined : `${this.#options.idPrefix}-${id}`;
  }

  #take(sighting: Sighting, id: string | undefined, moment: Moment): ObjectChange | undefined {
    if (id === undefined) return undefined;
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      const object = beginObject(id, sighting, moment);
      this.#entries.set(id, { object, reportedMs: moment.nowMs });
      return { change: 'new', object };
    }
    const hasMoved = sighting.zones.join() !== entry.object.zones.join();
    entry.object = continueObject(entry.object, sighting, moment);
    if (!hasMoved && moment.nowMs - entry.reportedMs < this.#options.updateMs) return undefined;
    entry.reportedMs = moment.nowMs;
    return { change: 'update', object: entry.object };
  }

  #end(id: string): ObjectChange {
    const { object } = valueFor(this.#entries, id);
    this.#entries.delete(id);
    return { change: 'end', object };
  }
}

function beginObject(id: string, { detection, zones }: Sighting, { at }: Moment): TrackedObject {
  const { label, confidence, box } = detection;
  return { id, label, confidence, box, zones, firstAt: at, lastAt: at, bestAt: at };
}

function continueObject(
  object: TrackedObject,
  { detection, zones }: Sighting,
  { at }: Moment,
): TrackedObject {
  const { box, confidence } = detection;
  const best = confidence > object.confidence ? { confidence, bestAt: at } : {};
  return { ...object, box, zones, lastAt: at, ...best };
}
