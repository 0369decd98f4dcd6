import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/**
 * Path of the first of some commands that can be run. A name without a slash is looked for in PATH.
 * @throws {RangeError} if there is none, naming all of them.
 */
export async function findCommand(names: readonly string[], paths = process.env.PATH ?? ''): Promise<string> {
  const folders = paths.split(delimiter).filter((folder) => folder !== '');
  for (const name of names) {
    const places = name.includes('/') ? [name] : folders.map((folder) => join(folder, name));
    for (const place of places) if (await canRun(place)) return place;
  }
  throw new RangeError(
    `Cannot find a command: ${names.join(' or ')}; install it, or name another by "command"`,
  );
}

async function canRun(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
