/**
 * Reads a model's external data. The model file is a stranger's: its data must lie within its own folder,
 * after links are resolved, and within the file.
 */
import type { FileHandle } from 'node:fs/promises';
import { open, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, normalize, sep } from 'node:path';
import type { Constant, Graph, Tensor } from '../../shared/graph/index.js';

/**
 * The graph with its external data inline.
 * @throws {SyntaxError} naming tensor and location of data that can't be read.
 */
export async function readExternalData(graph: Graph, folder: string): Promise<Graph> {
  const tensors: Tensor[] = [];
  for (const tensor of graph.tensors) {
    const { constant } = tensor;
    tensors.push(
      constant?.kind === 'external'
        ? { ...tensor, constant: await readConstant(tensor.name, constant, folder) }
        : tensor,
    );
  }
  return { ...graph, tensors };
}

type External = Extract<Constant, { kind: 'external' }>;

async function readConstant(
  name: string,
  { location, offset, length }: External,
  folder: string,
): Promise<Constant> {
  const where = `external data of "${name}", "${location}"`;
  const path = normalize(location);
  if (isAbsolute(path) || path.split(sep).includes('..')) {
    throw new SyntaxError(`Cannot read ${where}: it points outside the model's folder`);
  }
  const base = await realpath(folder);
  const real = await realpath(join(base, path)).catch((error: NodeJS.ErrnoException) => {
    throw new SyntaxError(
      `Cannot read ${where}: ${error.code === 'ENOENT' ? 'no such file' : error.message}`,
    );
  });
  if (!real.startsWith(base + sep)) {
    throw new SyntaxError(`Cannot read ${where}: it links to outside the model's folder`);
  }
  if (!(await stat(real)).isFile()) throw new SyntaxError(`Cannot read ${where}: not a file`);
  const file = await open(real, 'r');
  try {
    const { size } = await file.stat();
    if (offset + length > size) {
      throw new SyntaxError(
        `Cannot read ${where}: bytes ${offset} to ${offset + length}, the file has ${size}`,
      );
    }
    return { kind: 'inline', bytes: await readAll(file, { offset, length }) };
  } finally {
    await file.close();
  }
}

async function readAll(
  file: FileHandle,
  { offset, length }: Pick<External, 'offset' | 'length'>,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0)
      throw new SyntaxError(`Cannot read external data: it ended after ${done} of ${length} bytes`);
    done += bytesRead;
  }
  return bytes;
}
