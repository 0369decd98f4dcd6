/**
 * Parses the text of a Darknet .cfg file. `[name]` opens a section and `key=value` belongs to the section. A line
 * from `#` on, or one that starts with `;`, is a comment.
 */
import { elementAt } from '../graph/index.js';

interface DarknetEntry {
  readonly value: string;
  readonly line: number;
}

/** A section of the file. `layer` is -1 for `[net]`, and the sections after it count from 0. */
export interface DarknetSection {
  readonly kind: string;
  readonly layer: number;
  readonly line: number;
  readonly entries: ReadonlyMap<string, DarknetEntry>;
}

/** Darknet's own synonyms of section names. */
const SYNONYMS: ReadonlyMap<string, string> = new Map(
  Object.entries<string>({
    network: 'net',
    conv: 'convolutional',
    max: 'maxpool',
    avg: 'avgpool',
    soft: 'softmax',
  }),
);

/** Sections in the order of the file. @throws {SyntaxError} naming the line that can't be parsed. */
export function parseDarknetConfig(text: string): readonly DarknetSection[] {
  const sections: { kind: string; layer: number; line: number; entries: Map<string, DarknetEntry> }[] = [];
  for (const [at, raw] of text.split(/\r\n|\n|\r/).entries()) {
    const line = at + 1;
    const content = stripComment(raw).replace(/\s+/g, '');
    if (content === '') continue;
    const header = /^\[(.+)\]$/.exec(content)?.[1];
    if (header !== undefined) {
      const kind = SYNONYMS.get(header) ?? header;
      sections.push({ kind, layer: sections.length - 1, line, entries: new Map() });
      continue;
    }
    const [, key, value] = /^([^=]+)=(.*)$/.exec(content) ?? [];
    const section = sections.at(-1);
    if (key === undefined || value === undefined || section === undefined) {
      throw new SyntaxError(
        `Cannot parse Darknet config, line ${line}: "${raw.trim().slice(0, 60)}", expected [section] or key=value`,
      );
    }
    // Darknet takes the first entry of a key that is given twice.
    if (!section.entries.has(key)) section.entries.set(key, { value, line });
  }
  if (sections[0]?.kind !== 'net') {
    throw new SyntaxError(
      `Cannot parse Darknet config: first section is [${sections[0]?.kind ?? 'none'}], expected [net]`,
    );
  }
  return sections;
}

function stripComment(line: string): string {
  return line.trimStart().startsWith(';') ? '' : elementAt(line.split('#'), 0);
}

/** Name and place of a section, for error messages. */
export function describeSection({ kind, layer, line }: DarknetSection): string {
  return layer < 0 ? `[${kind}] at line ${line}` : `layer ${layer} [${kind}] at line ${line}`;
}

/** Value of an integer option. @throws {SyntaxError} if it isn't a whole number from `min`. */
export function intOption(
  section: DarknetSection,
  key: string,
  { fallback, min = 0 }: { readonly fallback: number; readonly min?: number },
): number {
  const entry = section.entries.get(key);
  const value = entry === undefined ? fallback : Number(entry.value);
  const isWhole = entry === undefined || /^[+-]?\d+$/.test(entry.value);
  if (!isWhole || !Number.isSafeInteger(value) || value < min)
    throw badOption(section, key, `a whole number from ${min}`);
  return value;
}

/** Value of a number option. @throws {SyntaxError} if it isn't a finite number. */
export function floatOption(section: DarknetSection, key: string, fallback: number): number {
  const entry = section.entries.get(key);
  const value = entry === undefined ? fallback : Number(entry.value);
  if (!Number.isFinite(value) || entry?.value === '') throw badOption(section, key, 'a number');
  return value;
}

/** Numbers of a comma-separated option; none if the key is absent. @throws {SyntaxError} if one isn't a number. */
export function listOption(section: DarknetSection, key: string): readonly number[] {
  const entry = section.entries.get(key);
  if (entry === undefined) return [];
  const values = entry.value
    .split(',')
    .filter((part) => part !== '')
    .map(Number);
  if (values.length === 0 || !values.every(Number.isFinite))
    throw badOption(section, key, 'numbers separated by commas');
  return values;
}

/** Error for an option's value. */
export function badOption(section: DarknetSection, key: string, expected: string): SyntaxError {
  const entry = section.entries.get(key);
  return new SyntaxError(
    `Cannot import ${describeSection(section)}: ${key}=${entry?.value ?? ''}` +
      `${entry === undefined ? '' : ` (line ${entry.line})`}, expected ${expected}`,
  );
}
