/** How a segment is run. New ways (streamed tiles) are further kinds of this union. */
export type Mode =
  | { readonly kind: 'whole' }
  | { readonly kind: 'tiles'; readonly rows: number; readonly cols: number }
  /** Rows a step, of an output of the segment's total stride. */
  | { readonly kind: 'stream'; readonly rows: number };

export const WHOLE: Mode = { kind: 'whole' };

/** Largest grid that is read from a notation: more tiles than this help nobody and cost planning time. */
const MAX_GRID = 64;

/** `rows` x `cols` tiles; one tile is the whole map. */
export function tilesOf(rows: number, cols: number): Mode {
  return rows === 1 && cols === 1 ? WHOLE : { kind: 'tiles', rows, cols };
}

/** More rows a step than this are a map. */
const MAX_STREAM_ROWS = 1024;

/** Prints `whole`, `RxC` or `streamR`. */
export function formatMode(mode: Mode): string {
  switch (mode.kind) {
    case 'whole':
      return 'whole';
    case 'tiles':
      return `${mode.rows}x${mode.cols}`;
    case 'stream':
      return `stream${mode.rows}`;
  }
}

/** @throws {SyntaxError} naming what is allowed. */
export function parseMode(text: string): Mode {
  if (text === 'whole') return WHOLE;
  const streamed = Number(/^stream(\d{1,4})$/.exec(text)?.[1]);
  if (streamed >= 1 && streamed <= MAX_STREAM_ROWS) return { kind: 'stream', rows: streamed };
  const match = /^(\d{1,4})x(\d{1,4})$/.exec(text);
  const [rows, cols] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || rows < 1 || cols < 1 || rows > MAX_GRID || cols > MAX_GRID) {
    throw new SyntaxError(
      `Cannot parse mode "${text}": expected whole or ROWSxCOLS such as 3x3, up to ${MAX_GRID}x${MAX_GRID}, or streamROWS such as stream4`,
    );
  }
  return tilesOf(rows, cols);
}
