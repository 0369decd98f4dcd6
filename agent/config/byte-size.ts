/** Parses sizes such as `64M`. */

import { present } from '../../shared/graph/index.js';

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/**
 * Bytes of a size such as `64M`, `64MB`, `64MiB`, `1.5G` or `50000000`. K, M and G are powers of 1024.
 * @throws {SyntaxError} if the text is no size, or less than a byte.
 */
export function parseByteSize(text: string): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)\s*(?:([KMG])i?)?B?$/i.exec(text.trim()) ?? [];
  const bytes = Math.floor(Number(amount) * present(UNITS[unit.toUpperCase()], `unit ${unit}`));
  if (!Number.isSafeInteger(bytes) || bytes < 1)
    throw new SyntaxError('Expected a size such as 64M or 1.5G.');
  return bytes;
}
