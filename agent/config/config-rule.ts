/** Rules that only configurations need. A key without a value (`key:` or `key: null`) counts as absent there. */
import type { Rule } from '../../shared/rules/index.js';
import { invalid, map, valid } from '../../shared/rules/index.js';
import { parseByteSize } from './byte-size.js';

/** A map that may be absent, since all its keys may be. So a section may stand with all its lines commented out. */
export function section<S extends Readonly<Record<string, Rule<unknown>>>>(
  shape: S,
): ReturnType<typeof map<S>> {
  const rule = map(shape);
  return (value) => rule(value ?? {});
}

export interface SizeLimits {
  readonly expected: string;
  readonly least: number;
  readonly most?: number;
}

/** A size in bytes, given as a text with a unit or as a number. */
export function byteSize({ expected, least, most = Number.MAX_SAFE_INTEGER }: SizeLimits): Rule<number> {
  return (value) => {
    const bytes = typeof value === 'string' || typeof value === 'number' ? bytesOf(String(value)) : undefined;
    return bytes !== undefined && bytes >= least && bytes <= most ? valid(bytes) : invalid(value, expected);
  };
}

function bytesOf(text: string): number | undefined {
  try {
    return parseByteSize(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
