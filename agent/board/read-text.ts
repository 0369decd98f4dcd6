/** Files of procfs and sysfs, where absence is an answer. */
import { readFileSync } from 'node:fs';

/** The text of a file; undefined if it can't be read, since kernels differ in the files that they offer. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Not only ENOENT: EOPNOTSUPP with psi=0, EACCES in containers, ENODEV for a group that has just gone.
    return undefined;
  }
}

/** A whole number of bytes; undefined for anything else. */
export function parseBytes(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : undefined;
}

/** A whole number, negative ones included; undefined for anything else. */
export function parseInteger(text: string | undefined): number | undefined {
  return text !== undefined && /^-?\d+\s*$/.test(text) ? Number(text) : undefined;
}
