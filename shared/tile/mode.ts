/** How a segment is run. New ways are further kinds of this union. */
export type Mode =
  | { readonly kind: 'whole' }
  | { readonly kind: 'tiles'; readonly rows: number; readonly cols: number }
  /** Rows a step, of an output of the segment's total stride. */
  | { readonly kind: 'stream'; readonly rows: number }
  /** Tiles, each of them streamed. */
  | {
      readonly kind: 'streamed-tiles';
      readonly rows: number;
      readonly cols: number;
      /** Rows a step, as in a stream. */
      readonly stepRows: number;
    };

export type ModeOf<Kind extends Mode['kind']> = Extract<Mode, { kind: Kind }>;

export const WHOLE: Mode = { kind: 'whole' };

/** Largest grid that is read from a notation: more tiles than this help nobody and cost planning time. */
const MAX_GRID = 64;

/** `rows` x `cols` tiles; one tile is the whole map. */
export function tilesOf(rows: number, cols: number): Mode {
  return rows === 1 && cols === 1 ? WHOLE : { kind: 'tiles', rows, cols };
}

/** `rows` x `cols` tiles, streamed `stepRows` rows a step; one tile is the whole map. */
export function streamedTilesOf(
  { rows, cols }: { readonly rows: number; readonly cols: number },
  stepRows: number,
): Mode {
  return rows === 1 && cols === 1
    ? { kind: 'stream', rows: stepRows }
    : { kind: 'streamed-tiles', rows, cols, stepRows };
}

/** More rows a step than this are a map. */
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

/** A grid, a stream, or both with a colon between. */
const MODE = /^(?:(?<rows>\d{1,4})x(?<cols>\d{1,4}))?(?<colon>:)?(?:stream(?<step>\d{1,4}))?$/;

/** @throws {SyntaxError} naming what is allowed. */
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
