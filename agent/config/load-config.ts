/** Reads a configuration file into a frozen Config, or reports all of its faults at once. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { resolveCamera } from './camera-schema.js';
import type { Config } from './config-schema.js';
import { configSchema } from './config-schema.js';
import type { Problem } from './describe-issue.js';
import { describeIssue } from './describe-issue.js';
import { findConflicts } from './find-conflicts.js';
import { showPath } from './show-value.js';
import type { YamlSource } from './yaml-source.js';
import { readYaml } from './yaml-source.js';

/** The configuration of an empty file. Its node name is that of this machine. */
export const DEFAULT_CONFIG: Config = parseConfig('', 'default configuration');

/**
 * The configuration of a file, whose relative paths begin at the file's folder.
 * @throws {RangeError} if the file can't be read; {SyntaxError} as `parseConfig`.
 */
export async function loadConfig(file: string): Promise<Config> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new RangeError(`Cannot read ${file}: ${error.code === 'ENOENT' ? 'no such file' : error.message}`);
  });
  return freeze(resolvePaths(parseConfig(text, file), dirname(resolve(file))));
}

function resolvePaths(config: Config, folder: string): Config {
  const from = (path: string) => resolve(folder, path);
  const { cameras, store } = config;
  return {
    ...config,
    cameras: cameras.map((camera) => resolveCamera(camera, from)),
    store: { path: store.path === null ? null : from(store.path) },
  };
}

/** @throws {SyntaxError} naming file, line and key of each fault. */
export function parseConfig(text: string, file: string): Config {
  const source = readYaml(text, file);
  const checked = configSchema(source.value);
  const problems = [
    ...source.duplicates,
    ...(checked.isValid ? [] : checked.issues.map(describeIssue)),
    ...findConflicts(source.value),
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
