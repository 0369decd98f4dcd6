import { readFile, stat } from 'node:fs/promises';

/** Protobuf's own limit, and more than any network for a small board. */
const MAX_BYTES = 2 ** 31;

/** Reads a file that a user named. @throws {RangeError} saying what is wrong with the file. */
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

/** Errors of a file's content name the file, too. */
export async function inFile<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SyntaxError) throw new SyntaxError(`${path}: ${error.message}`);
    throw error;
  }
}
