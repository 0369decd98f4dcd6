/** Changes one key in the text of a model.yaml, and keeps its comments. */
import { isScalar, parseDocument } from 'yaml';

/** Keys that may be changed, and those below them. The others say what the stored files are. */
const CHANGEABLE = [
  ...['resize', 'margin', 'colorOrder', 'scale', 'mean', 'std'].map((key) => `input.${key}`),
  ...['decoder', 'labels', 'fixedInputs'],
];

/**
 * @param key path with dots, such as `input.scale`.
 * @param value as YAML: a number, a text, or a list such as `[0.5, 0.5, 0.5]`; a fraction such as `1/255`, too.
 * @throws {RangeError} naming the key, if it can't be changed, or the value, if it isn't YAML.
 */
export function setKey(yaml: string, key: string, value: string): string {
  if (!CHANGEABLE.some((allowed) => key === allowed || key.startsWith(`${allowed}.`)))
    throw new RangeError(
      `Cannot set "${key}": expected ${CHANGEABLE.join(', ')}, or a key below one of these`,
    );
  const document = parseDocument(yaml);
  const parsed = parseDocument(value);
  const [fault] = parsed.errors;
  if (fault !== undefined) throw new RangeError(`Cannot set ${key} to "${value}": ${fault.message}`);
  const path = key.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  document.setIn(path, isScalar(parsed.contents) ? scalarOf(value, parsed.toJS()) : parsed.toJS());
  return document.toString({ lineWidth: 110 });
}

function scalarOf(text: string, value: unknown): unknown {
  const [, over, under] = /^(\d+(?:\.\d+)?)\/(\d+(?:\.\d+)?)$/.exec(text.trim()) ?? [];
  return over === undefined ? value : Number(over) / Number(under);
}
