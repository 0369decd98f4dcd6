/**
 * Secrets that the service manager hands over as files, so that they needn't stand in a configuration that all users
 * read. Source: https://systemd.io/CREDENTIALS.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from './config-schema.js';

/** Names of the files by key of the section `mqtt`. */
const FILES = { username: 'mqtt.username', password: 'mqtt.password' } as const;

/**
 * The configuration with the login from the folder of credentials. A value of the configuration itself counts more.
 * @param folder undefined where the manager gives none.
 * @throws {RangeError} if a file can't be read, or the embedded broker got only half of a login.
 */
export function withCredentials(config: Config, folder = process.env.CREDENTIALS_DIRECTORY): Config {
  if (folder === undefined) return config;
  const username = config.mqtt.username ?? readSecret(join(folder, FILES.username));
  const password = config.mqtt.password ?? readSecret(join(folder, FILES.password));
  if (config.mqtt.server === 'embedded' && (username === null) !== (password === null))
    throw new RangeError(
      `Cannot use the credentials in ${folder}: expected ${FILES.username} and ${FILES.password}, or neither`,
    );
  return { ...config, mqtt: { ...config.mqtt, username, password } };
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
