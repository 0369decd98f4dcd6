/** Modes are the ways to run a segment. This file makes, prints and reads them. */

/** How a segment is run. Another way to run one is another kind of this union. */
export type Mode =
  | { readonly kind: 'whole' }
  | { readonly kind: 'tiles'; readonly rows: number; readonly cols: number }
  /** A stream moves `rows` rows a step, counted in an output of the segment's total stride. */
  | { readonly kind: 'stream'; readonly rows: number }
  /** Each of `rows` x `cols` tiles is streamed. */
  | {
      readonly kind: 'streamed-tiles';
      readonly rows: number;
      readonly cols: number;
      /** Rows a step, as in a stream. */
      readonly stepRows: number;
    };

export type ModeOf<Kind extends Mode['kind']> = Extract<Mode, { kind: Kind }>;

export const WHOLE: Mode = { kind: 'whole' };

/**
 * Most tiles along an axis that a notation may ask for. More tiles save no memory and cost planning time. Chosen, not
 * measured.
 */
const MAX_GRID = 64;

/** Returns the mode of `rows` x `cols` tiles. One tile is the whole map. */
export function tilesOf(rows: number, cols: number): Mode {
  return rows === 1 && cols === 1 ? WHOLE : { kind: 'tiles', rows, cols };
}

/** Returns the mode of `rows` x `cols` tiles, streamed `stepRows` rows a step. One tile is the whole map. */
export function streamedTilesOf(
  { rows, cols }: { readonly rows: number; readonly cols: number },
  stepRows: number,
): Mode {
  return rows === 1 && cols === 1
    ? { kind: 'stream', rows: stepRows }
    : { kind: 'streamed-tiles', rows, cols, stepRows };
}

/** Most rows a step that a notation may ask for: more than the maps of usual networks have. Chosen, not measured. */
const MAX_STREAM_ROWS = 1024;

/** Prints `whole`, `RxC`, `streamN` or `RxC:streamN`. */
export function formatMode(mode: Mode): string {
  switch (mode.kind) {
    case 'whole':
      return 'whole';
    case 'tiles':
      return `${mode.rows}x${mode.cols}`;
    case 'stream':
      return `stream${mode.rows}`;
    case 'streamed-tiles':
      return `${mode.rows}x${mode.cols}:stream${mode.stepRows}`;
  }
}

/** Pattern of a grid, of a stream, or of both with a colon between. */
const MODE = /^(?:(?<rows>\d{1,4})x(?<cols>\d{1,4}))?(?<colon>:)?(?:stream(?<step>\d{1,4}))?$/;

/** Reads what `formatMode` prints. @throws {SyntaxError} naming what is allowed. */
export function parseMode(text: string): Mode {
  if (text === 'whole') return WHOLE;
  const { rows, cols, colon, step } = MODE.exec(text)?.groups ?? {};
  const hasGrid = isWithin(rows, MAX_GRID) && isWithin(cols, MAX_GRID);
  const hasStep = isWithin(step, MAX_STREAM_ROWS);
  if (colon !== undefined && hasGrid && hasStep)
    return streamedTilesOf({ rows: Number(rows), cols: Number(cols) }, Number(step));
  if (colon === undefined && hasGrid && step === undefined) return tilesOf(Number(rows), Number(cols));
  if (colon === undefined && hasStep && rows === undefined) return { kind: 'stream', rows: Number(step) };
  throw new SyntaxError(
    `Cannot parse mode "${text}": expected whole or ROWSxCOLS such as 3x3, up to ${MAX_GRID}x${MAX_GRID}, or ROWSxCOLS:streamROWS such as 1x2:stream4, or streamROWS such as stream4`,
  );
}

function isWithin(digits: string | undefined, most: number): boolean {
  return Number(digits) >= 1 && Number(digits) <= most;
}
