/**
 * Follows boxes of one label from frame to frame: SORT.
 * Source: Bewley et al., "Simple Online and Realtime Tracking" (2016).
 *
 * 1. Each track says where its box is now (kalman.ts).
 * 2. Boxes are assigned to tracks so that the sum of their overlaps (IoU) is largest; pairs below `iouThreshold` don't
 *    count.
 * 3. A track with a box learns from it. One without ends: at once while it is on probation, later when its last box is
 *    older than `maxAgeMs`.
 * 4. A box without a track begins one, which is on probation until it has `minHits` boxes. Then it gets an id.
 *
 * The paper's cameras give 25 to 30 frames a second and ours one or two, which changes three things. A prediction counts
 * elapsed time, since frames may be left out. Overlaps are those of enlarged boxes, since a thing may move by its own
 * width before the next frame. And ages are times.
 *
 * Not guaranteed: ids may be exchanged when things of one label meet and turn around. A thing that moves by more than
 * its own size between its first two frames isn't followed.
 */
import { elementAt } from '../../shared/graph/index.js';
import type { Box } from '../decode/detection.js';
import { intersectionOverUnion } from '../decode/detection.js';
import { assign } from './assignment.js';
import { BoxFilter } from './kalman.js';

export interface SortOptions {
  /** Boxes after which a track gets its id. */
  readonly minHits: number;
  /** Least overlap of a box with a track, 0 to 1. */
  readonly iouThreshold: number;
  /** Time in which the filter moves on by one step: that between two frames. */
  readonly frameMs: number;
  /** A number that no track has had. */
  readonly nextId: () => number;
}

/** The moment of a frame, by a clock that doesn't jump. */
export interface FrameTime {
  readonly nowMs: number;
  /** Age of its last box at which a track ends. */
  readonly maxAgeMs: number;
  /** Tracks that there may be. */
  readonly room: number;
}

export interface Tracked {
  /** Id of each box's track; undefined while the track is on probation, or if there is none. */
  readonly ids: readonly (number | undefined)[];
  /** Ids of the tracks that ended. */
  readonly ended: readonly number[];
}

interface Track {
  readonly filter: BoxFilter;
  id: number | undefined;
  hits: number;
  seenMs: number;
}

/**
 * Factor of a box's size for its overlap. Two boxes of one size that only touch then overlap by 1/3, so that the paper's
 * threshold of 0.3 lets things move by their own width. Source of the idea: Yang et al., "Hard to Track Objects with
 * Irregular Motions and Similar Appearances? Make It Easier by Buffering the Matching Space" (2023).
 */
const ENLARGED = 2;

/** Cost of a pair that doesn't count: as much as no pair. */
const NO_PAIR = 1;

export class SortTracker {
  readonly #options: SortOptions;
  #tracks: Track[] = [];
  #lastMs: number | undefined;

  constructor(options: SortOptions) {
    this.#options = options;
  }

  /** Tracks, those on probation included. */
  get size(): number {
    return this.#tracks.length;
  }

  /** Takes in the boxes of a frame, most important first. */
  update(boxes: readonly Box[], time: FrameTime): Tracked {
    this.#predict(time.nowMs);
    const trackOf = this.#match(boxes);
    for (const [track, box] of trackOf) this.#correct(track, boxes[box], time.nowMs);
    const ended = this.#endOld(new Set(trackOf.keys()), time);
    const byBox = new Map([...trackOf].map(([track, box]) => [box, track]));
    const ids = boxes.map((box, at) => (byBox.get(at) ?? this.#begin(box, time))?.id);
    return { ids, ended };
  }

  #predict(nowMs: number): void {
    const steps = (nowMs - (this.#lastMs ?? nowMs)) / this.#options.frameMs;
    this.#lastMs = nowMs;
    for (const { filter } of this.#tracks) filter.predict(steps);
  }

  /** Box of each track that has one. */
  #match(boxes: readonly Box[]): ReadonlyMap<Track, number> {
    const size = { rows: this.#tracks.length, cols: boxes.length };
    const values = new Float64Array(size.rows * size.cols);
    const wide = boxes.map(enlarge);
    for (const [row, { filter }] of this.#tracks.entries()) {
      const expected = enlarge(filter.box);
      for (const [col, box] of wide.entries()) {
        const overlap = intersectionOverUnion(expected, box);
        values[row * size.cols + col] = overlap < this.#options.iouThreshold ? NO_PAIR : 1 - overlap;
      }
    }
    const pairs = assign({ ...size, values }).flatMap((col, row) => {
      const counts = col >= 0 && elementAt(values, row * size.cols + col) < NO_PAIR;
      return counts ? [[elementAt(this.#tracks, row), col] as const] : [];
    });
    return new Map(pairs);
  }

  #correct(track: Track, box: Box | undefined, nowMs: number): void {
    if (box === undefined) return;
    track.filter.correct(box);
    track.seenMs = nowMs;
    track.hits += 1;
    this.#admit(track);
  }

  #admit(track: Track): void {
    if (track.hits >= this.#options.minHits) track.id ??= this.#options.nextId();
  }

  #endOld(seen: ReadonlySet<Track>, { nowMs, maxAgeMs }: FrameTime): readonly number[] {
    const lives = (track: Track) =>
      seen.has(track) || (track.id !== undefined && nowMs - track.seenMs < maxAgeMs);
    const ended = this.#tracks.filter((track) => !lives(track));
    this.#tracks = this.#tracks.filter(lives);
    return ended.flatMap(({ id }) => id ?? []);
  }

  /** @returns undefined where there is no room. */
  #begin(box: Box, { nowMs, room }: FrameTime): Track | undefined {
    if (this.#tracks.length >= room) return undefined;
    const track: Track = { filter: new BoxFilter(box), id: undefined, hits: 1, seenMs: nowMs };
    this.#admit(track);
    this.#tracks.push(track);
    return track;
  }
}

function enlarge({ width, height, ...center }: Box): Box {
  return { ...center, width: width * ENLARGED, height: height * ENLARGED };
}
