/** Parses a YAML file to its values and the lines that they stand on. */
import type { Document, YAMLError } from 'yaml';
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import { elementAt, present } from '../../shared/graph/index.js';
import type { KeyPath } from '../../shared/rules/index.js';
import type { Problem } from './describe-issue.js';

export interface YamlSource {
  readonly value: unknown;
  /** Problems of keys that are given twice in one map. */
  readonly duplicates: readonly Problem[];
  /** Line of a key or list item. If it isn't in the file, the line of the nearest key above it. */
  readonly lineOf: (path: KeyPath) => number;
}

interface Fault {
  readonly offset: number;
  readonly message: string;
}

/** Messages that replace the parser's own where these quote the file, which may hold a password. */
const PLAIN_WORDS: Partial<Readonly<Record<YAMLError['code'], string>>> = {
  BAD_DIRECTIVE: 'a line that starts with % must be a directive, which this is not; quote the value',
  BAD_DQ_ESCAPE: '\\ in "..." must be followed by an escape; use \'...\' for text with \\',
  BAD_COLLECTION_TYPE: 'the tag does not fit its value; quote text that starts with !',
  MULTIPLE_DOCS: 'a second document starts here, expected one document',
  TAG_RESOLVE_FAILED: 'the tag is unknown; quote text that starts with !',
  UNEXPECTED_TOKEN: 'unexpected character; quote text that contains YAML syntax',
};

/** @throws {SyntaxError} with a line for each fault of the YAML. */
export function readYaml(text: string, file: string): YamlSource {
  const lines = new LineCounter();
  const options = { prettyErrors: false, uniqueKeys: false, stringKeys: true, lineCounter: lines } as const;
  const document = parseDocument(text, { ...options, logLevel: 'error' });
  const faults = [
    ...[...document.errors, ...document.warnings].map(({ code, pos, message }) => {
      return { offset: pos[0], message: PLAIN_WORDS[code] ?? message };
    }),
    ...findLostAliases(document),
  ].map(({ offset, message }) => `${file}:${lines.linePos(offset).line}: ${message}`);
  if (faults.length > 0) throw new SyntaxError(`Cannot parse ${file}:\n  ${faults.join('\n  ')}`);
  const lineOf = (path: KeyPath) => lines.linePos(offsetOf(document, path)).line;
  return { value: readValues(document, file), duplicates: findDuplicates(document.contents), lineOf };
}

/** Aliases without an anchor. The parser itself checks them only in `toJS`, without a line. */
function findLostAliases(document: Document.Parsed): readonly Fault[] {
  const faults: Fault[] = [];
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document) !== undefined) return;
      faults.push({
        offset: present(startOf(alias), 'position of an alias'),
        message: '*name without &name; quote text that starts with *',
      });
    },
  });
  return faults;
}

function readValues(document: Document.Parsed, file: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    throw new SyntaxError(`Cannot parse ${file}: its aliases (*name) expand to too many values`);
  }
}

function findDuplicates(node: unknown, path: KeyPath = []): readonly Problem[] {
  if (isSeq(node)) return node.items.flatMap((item, at) => findDuplicates(item, [...path, at]));
  if (!isMap(node)) return [];
  const keys = node.items.map(({ key }) => keyText(key));
  return node.items.flatMap(({ value }, at) => {
    const key = elementAt(keys, at);
    // `offsetOf` gives the line of the last key, which is the one that counts.
    if (keys.lastIndexOf(key) !== at) return [];
    const here = [...path, key];
    const inside = findDuplicates(value, here);
    if (keys.indexOf(key) === at) return inside;
    return [{ path: here, message: 'is given more than once, expected once' }, ...inside];
  });
}

function offsetOf(document: Document.Parsed, path: KeyPath): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document);
    // If a key is given twice, the last one counts.
    const pair = isMap(node) ? node.items.findLast(({ key }) => keyText(key) === String(step)) : undefined;
    const item = isSeq(node) ? node.items[Number(step)] : pair?.value;
    offset = startOf(pair?.key ?? item) ?? offset;
    node = item;
  }
  return offset;
}

function keyText(key: unknown): string {
  return String(isScalar(key) ? key.value : key);
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
