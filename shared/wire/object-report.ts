/** What a camera sees, JSON on its topics. docs/protocol.md, section 1. */

/** In pixels of the image; x and y are the upper left corner. */
interface PixelBox {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** One detection of `<base>/<node>/events`. */
export interface DetectionReport {
  readonly label: string;
  readonly classId: number;
  readonly confidence: number;
  readonly box: PixelBox;
  /** Names of the zones that it is in; absent where none are configured. */
  readonly zones?: readonly string[];
  /** Id of its object; absent where it has none. */
  readonly object?: string;
}

/** `<base>/<node>/cameras/<camera>/objects` */
export interface ObjectReport {
  readonly change: 'new' | 'update' | 'end';
  readonly camera: string;
  readonly model: string;
  /** Not used again, not even after a restart. */
  readonly id: string;
  readonly label: string;
  /** Best so far. */
  readonly confidence: number;
  /** Where it was detected last. */
  readonly box: PixelBox;
  readonly zones: readonly string[];
  /** Times of frames, ISO 8601: the first one with this object, the last one, and the one with the best confidence. */
  readonly firstAt: string;
  readonly lastAt: string;
  readonly bestAt: string;
}

/** `<base>/<node>/cameras/<camera>/counts` */
export interface CountsReport {
  readonly labels: Readonly<Record<string, number>>;
  readonly zones: Readonly<Record<string, Readonly<Record<string, number>>>>;
}
