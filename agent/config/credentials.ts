/**
 * Secrets that the service manager hands over as files, so that they needn't stand in a configuration that all users
 * read. Source: https://systemd.io/CREDENTIALS.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isLoopback } from '../../shared/wire/index.js';
import type { Config } from './config-schema.js';

/** Names of the files by key of the section `mqtt`. */
const FILES = { username: 'mqtt.username', password: 'mqtt.password' } as const;

/** Folder of credentials; undefined where the manager gives none. */
export function credentialsFolder(): string | undefined {
  return process.env.CREDENTIALS_DIRECTORY;
}

/**
 * The configuration with the login from `mqtt.passwordFile` and from the folder of credentials. What the configuration
 * says counts more.
 * @throws {RangeError} if a file can't be read, or the embedded broker lacks a login or half of it.
 */
export function withCredentials(config: Config, folder = credentialsFolder()): Config {
  const { mqtt } = config;
  const given = { ...mqtt, password: mqtt.password ?? readPassword(mqtt.passwordFile, 'mqtt.passwordFile') };
  if (folder === undefined) return { ...config, mqtt: given };
  const username = given.username ?? readSecret(join(folder, FILES.username));
  const password = given.password ?? readSecret(join(folder, FILES.password));
  const { server, listen } = mqtt;
  const expected = `expected ${FILES.username} and ${FILES.password}`;
  if (server === 'embedded' && (username === null) !== (password === null))
    throw new RangeError(`Cannot use the credentials in ${folder}: ${expected}, or neither`);
  if (server === 'embedded' && username === null && !isLoopback(listen.host))
    throw new RangeError(
      `Cannot use the credentials in ${folder}: mqtt.listen.host is ${listen.host}, which needs a login; ${expected}`,
    );
  return { ...config, mqtt: { ...given, username, password } };
}

/** @param key where the file is named, for errors. @throws {RangeError} if it can't be read, or is empty. */
export function readPassword(file: string | null, key: string): string | null {
  if (file === null) return null;
  const password = readSecret(file);
  if (password === null) throw new RangeError(`Cannot read ${key} ${file}: no such file`);
  if (password === '') throw new RangeError(`Cannot use ${key} ${file}: it is empty`);
  return password;
}

/** Without the line's end that an editor adds; null if there is no such file. */
function readSecret(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new RangeError(`Cannot read ${file}: ${(error as Error).message}`);
  }
}
