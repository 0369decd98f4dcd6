/** Reads files that a user named, with errors that name the file. */

import { readFile, stat } from 'node:fs/promises';

/** Limit of a file's size: that of Protobuf itself, and more than any network for a small board. */
const MAX_BYTES = 2 ** 31;

/** @throws {RangeError} if the file is missing, empty, too large or no file. */
export async function readInputFile(path: string): Promise<Buffer> {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new RangeError(`Cannot read ${path}: ${error.code === 'ENOENT' ? 'no such file' : error.message}`);
  });
  if (!info.isFile()) throw new RangeError(`Cannot read ${path}: not a file`);
  if (info.size === 0) throw new RangeError(`Cannot read ${path}: it is empty`);
  if (info.size >= MAX_BYTES) {
    throw new RangeError(
      `Cannot read ${path}: ${info.size} bytes, expected less than ${MAX_BYTES}; keep weights as external data`,
    );
  }
  return readFile(path);
}

/** Does work on a file's content, and adds the file's name to a SyntaxError of it. */
export async function inFile<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SyntaxError) throw new SyntaxError(`${path}: ${error.message}`);
    throw error;
  }
}
