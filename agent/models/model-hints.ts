/**
 * What an ONNX file's metadata say of how it is used. Exporters write what they like, so each key is read strictly, and what
 * can't be read isn't there.
 *
 * - ultralytics (YOLOv5 to v11, RT-DETR): `names`, `imgsz`, `stride`, `task` as Python literals. Source: ultralytics,
 *   engine/exporter.py, `self.metadata`.
 * - Windows ML: `Image.BitmapPixelFormat` and `Image.NominalPixelRange`.
 * - others: labels under `labels`, `classes`, `class_names` or `names`, as JSON or one a line.
 */
import type { OnnxMetadata } from '../../shared/onnx/index.js';
import type { PixelRule } from '../decode/box-decoder.js';

export interface ModelHints {
  /** Name of the exporter, as far as it is known. */
  readonly producer?: string;
  /** ultralytics': `detect`, `segment`, `pose`, `obb` or `classify`. */
  readonly task?: string;
  /** Class names in order of class, and the key that they come from. */
  readonly labels?: readonly string[];
  readonly labelsKey?: string;
  /** Multiple that the input's height and width must be of. */
  readonly stride?: number;
  readonly imageSize?: { readonly width: number; readonly height: number };
  /** How pixels are wanted, of `Image.*`. */
  readonly pixels?: PixelRule;
  /** Whether ultralytics' preprocessing is wanted: a letterbox of grey 114, RGB from 0 to 1. */
  readonly isUltralytics: boolean;
}

/** Keys of labels, the most telling first. */
const LABEL_KEYS = ['names', 'labels', 'class_names', 'classes', 'label_names', 'class_labels'] as const;

/** More classes than any known network has. */
const MAX_LABELS = 100_000;

export function readHints({ producer, entries }: OnnxMetadata): ModelHints {
  const labelled = LABEL_KEYS.map((key) => ({ key, labels: readLabels(entries.get(key) ?? '') }));
  const found = labelled.find(({ labels }) => labels !== undefined);
  const task = entries.get('task');
  const stride = wholeNumberOf(entries.get('stride'));
  const size = readImageSize(entries.get('imgsz'));
  const pixels = readPixels(entries);
  return {
    ...(producer === '' ? {} : { producer }),
    ...(task === undefined || !/^[a-z]{1,32}$/.test(task) ? {} : { task }),
    ...(found?.labels === undefined ? {} : { labels: found.labels, labelsKey: found.key }),
    ...(stride === undefined ? {} : { stride }),
    ...(size === undefined ? {} : { imageSize: size }),
    ...(pixels === undefined ? {} : { pixels }),
    isUltralytics: found?.key === 'names' && stride !== undefined && task !== undefined,
  };
}

/** Undefined for what isn't a list of names. */
export function readLabels(text: string): readonly string[] | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  const labels = /^[[{]/.test(trimmed)
    ? readLiteral(trimmed)
    : trimmed.split(/\r?\n|,/).map((name) => name.trim());
  return labels === undefined || labels.length < 2 || labels.length > MAX_LABELS ? undefined : labels;
}

/** A token of a Python or JSON literal: punctuation, a number or a quoted text. */
const TOKEN = /\s*(?:([[\]{}:,])|(\d{1,6})|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")/y;

/**
 * Names of `{0: 'person', 1: "it's"}`, `{"0": "person"}` or `['person', "it's"]`. The keys of a map must be the classes from
 * 0 on, in any order.
 */
function readLiteral(text: string): readonly string[] | undefined {
  const tokens = tokensOf(text);
  if (tokens === undefined) return undefined;
  const [open, ...rest] = tokens;
  const close = rest.pop();
  if (open?.mark === '[' && close?.mark === ']') return readItems(rest);
  if (open?.mark === '{' && close?.mark === '}') return readEntries(rest);
  return undefined;
}

interface Token {
  readonly mark?: string;
  readonly text?: string;
}

function tokensOf(text: string): readonly Token[] | undefined {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const match = TOKEN.exec(text);
    if (match === null) return undefined;
    const [, mark, digits, single, double] = match;
    const quoted = (single ?? double)?.replace(/\\(.)/gs, '$1');
    tokens.push(mark === undefined ? { text: digits ?? quoted ?? '' } : { mark });
  }
  return tokens;
}

function readItems(tokens: readonly Token[]): readonly string[] | undefined {
  const isList = tokens.every(({ mark, text }, at) => (at % 2 === 0 ? text !== undefined : mark === ','));
  return isList ? tokens.flatMap(({ text }) => text ?? []) : undefined;
}

function readEntries(tokens: readonly Token[]): readonly string[] | undefined {
  const names: (string | undefined)[] = [];
  for (let at = 0; at < tokens.length; at += 4) {
    const [key, colon, name, comma] = tokens.slice(at, at + 4);
    const isEntry = colon?.mark === ':' && name?.text !== undefined && /^\d{1,6}$/.test(key?.text ?? '');
    if (!isEntry || (comma !== undefined && comma.mark !== ',')) return undefined;
    names[Number(key?.text)] = name.text;
  }
  const labels = names.filter((name) => name !== undefined);
  return labels.length === names.length && labels.length === Math.ceil(tokens.length / 4)
    ? labels
    : undefined;
}

/** `[height, width]` or one number for both. */
function readImageSize(text = ''): ModelHints['imageSize'] {
  const match = /^(?:(\d{1,5})|\[\s*(\d{1,5})\s*,\s*(\d{1,5})\s*\])$/.exec(text.trim());
  const [, both, rows = both, cols = both] = match ?? [];
  const [height, width] = [Number(rows), Number(cols)];
  return match === null || height < 2 || width < 2 ? undefined : { width, height };
}

function wholeNumberOf(text = ''): number | undefined {
  return /^\d{1,4}$/.test(text.trim()) && Number(text) > 0 ? Number(text) : undefined;
}

/** What a value is, by the name of its range. */
const RANGES: ReadonlyMap<string, Pick<PixelRule, 'scale' | 'mean' | 'std'>> = new Map([
  ['NominalRange_0_255', { scale: 1 }],
  ['Normalized_0_1', { scale: 1 / 255 }],
  ['Normalized_1_1', { scale: 1 / 127.5, mean: [1, 1, 1] }],
]);

function readPixels(entries: OnnxMetadata['entries']): PixelRule | undefined {
  const range = RANGES.get(entries.get('Image.NominalPixelRange') ?? '');
  const [, order] = /^(Rgb|Bgr)a?8$/i.exec(entries.get('Image.BitmapPixelFormat') ?? '') ?? [];
  if (range === undefined && order === undefined) return undefined;
  const isBgr = order?.toLowerCase() === 'bgr';
  return {
    by: 'metadata Image.*',
    ...range,
    ...(order === undefined ? {} : { colorOrder: isBgr ? 'bgr' : 'rgb' }),
  };
}
