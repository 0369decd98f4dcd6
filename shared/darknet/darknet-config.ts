/** Darknet .cfg text -> sections. Grammar: `[name]` opens a section, `key=value` belongs to it, `#` or `;` comment. */

export interface DarknetEntry {
  readonly value: string;
  readonly line: number;
}

/** One `[section]`; `layer` counts from 0 after `[net]`, which is -1. */
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

/** @throws {SyntaxError} naming the line that can't be read. */
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
    const pair = /^([^=]+)=(.*)$/.exec(content);
    const section = sections.at(-1);
    if (pair?.[1] === undefined || section === undefined) {
      throw new SyntaxError(
        `Cannot parse Darknet config, line ${line}: "${raw.trim().slice(0, 60)}", expected [section] or key=value`,
      );
    }
    // Of a key that stands twice Darknet takes the first.
    if (!section.entries.has(pair[1])) {
      section.entries.set(pair[1], { value: pair[2] ?? '', line });
    }
  }
  if (sections[0]?.kind !== 'net') {
    throw new SyntaxError(
      `Cannot parse Darknet config: first section is [${sections[0]?.kind ?? 'none'}], expected [net]`,
    );
  }
  return sections;
}

function stripComment(line: string): string {
  return line.trimStart().startsWith(';') ? '' : (line.split('#')[0] ?? '');
}

/** Where a section stands, for error messages. */
export function describeSection({ kind, layer, line }: DarknetSection): string {
  return layer < 0 ? `[${kind}] at line ${line}` : `layer ${layer} [${kind}] at line ${line}`;
}

/** Whole-number option. @throws {SyntaxError} if it is anything else or out of range. */
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

export function floatOption(section: DarknetSection, key: string, fallback: number): number {
  const entry = section.entries.get(key);
  const value = entry === undefined ? fallback : Number(entry.value);
  if (!Number.isFinite(value) || entry?.value === '') throw badOption(section, key, 'a number');
  return value;
}

/** Comma-separated numbers; an absent key gives an empty list. */
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

export function badOption(section: DarknetSection, key: string, expected: string): SyntaxError {
  const entry = section.entries.get(key);
  return new SyntaxError(
    `Cannot import ${describeSection(section)}: ${key}=${entry?.value ?? ''}` +
      `${entry === undefined ? '' : ` (line ${entry.line})`}, expected ${expected}`,
  );
}
