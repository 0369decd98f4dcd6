/** Reads a configuration file into a frozen Config, or reports all of its faults at once. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { resolveCamera } from './camera-schema.js';
import type { Config } from './config-schema.js';
import { configSchema } from './config-schema.js';
import { credentialsFolder, withCredentials } from './credentials.js';
import type { Problem } from './describe-issue.js';
import { describeIssue } from './describe-issue.js';
import type { Outside } from './find-conflicts.js';
import { findConflicts } from './find-conflicts.js';
import { showPath } from './show-value.js';
import type { YamlSource } from './yaml-source.js';
import { readYaml } from './yaml-source.js';

/** The configuration of an empty file. Its node name is that of this machine. */
export const DEFAULT_CONFIG: Config = parseConfig('', 'default configuration');

/**
 * The configuration of a file, whose relative paths begin at the file's folder, with the credentials of the service.
 * @throws {RangeError} if the file can't be read; {SyntaxError} as `parseConfig`.
 */
export async function loadConfig(file: string): Promise<Config> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new RangeError(`Cannot read ${file}: ${error.code === 'ENOENT' ? 'no such file' : error.message}`);
  });
  const hasCredentials = credentialsFolder() !== undefined;
  return complete(parseConfig(text, file, { hasCredentials }), file);
}

/**
 * What a wrong file says of the node and its broker, if that much is right: an agent without models and cameras, which
 * can say what is wrong. Undefined if that can't be read either.
 */
export async function salvageConfig(file: string): Promise<Config | undefined> {
  try {
    const { value } = readYaml(await readFile(file, 'utf8'), file);
    const { node, mqtt } = (value ?? {}) as Partial<Record<keyof Config, unknown>>;
    const part = { node, mqtt };
    const checked = configSchema(part);
    const hasCredentials = credentialsFolder() !== undefined;
    if (!checked.isValid || findConflicts(part, { hasCredentials }).length > 0) return undefined;
    return complete(checked.value, file);
  } catch {
    return undefined;
  }
}

/** With what other files say, and absolute paths. */
function complete(config: Config, file: string): Config {
  return freeze(withCredentials(resolvePaths(config, dirname(resolve(file)))));
}

function resolvePaths(config: Config, folder: string): Config {
  const from = (path: string) => resolve(folder, path);
  const fromGiven = (path: string | null) => (path === null ? null : from(path));
  const { cameras, store, mqtt } = config;
  const { ca, cert, key } = mqtt.tls;
  return {
    ...config,
    cameras: cameras.map((camera) => resolveCamera(camera, from)),
    store: { path: fromGiven(store.path) },
    mqtt: {
      ...mqtt,
      passwordFile: fromGiven(mqtt.passwordFile),
      tls: { ca: fromGiven(ca), cert: fromGiven(cert), key: fromGiven(key) },
    },
  };
}

/** @throws {SyntaxError} naming file, line and key of each fault. */
export function parseConfig(
  text: string,
  file: string,
  outside: Outside = { hasCredentials: false },
): Config {
  const source = readYaml(text, file);
  const checked = configSchema(source.value);
  const problems = [
    ...source.duplicates,
    ...(checked.isValid ? [] : checked.issues.map(describeIssue)),
    ...findConflicts(source.value, outside),
  ];
  if (checked.isValid && problems.length === 0) return freeze(checked.value);
  throw new SyntaxError(`Cannot use ${file}:\n  ${formatProblems(problems, source, file).join('\n  ')}`);
}

function formatProblems(
  problems: readonly Problem[],
  { lineOf }: YamlSource,
  file: string,
): readonly string[] {
  return problems
    .map(({ path, message }) => ({ line: lineOf(path), text: `${showPath(path)}: ${message}` }))
    .sort((a, b) => a.line - b.line)
    .map(({ line, text }) => `${file}:${line}: ${text}`);
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(freeze);
  return Object.freeze(value);
}
