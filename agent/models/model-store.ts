/** The folder of stored models: `<models>/<name>/{model.onnx, model.onnx.data, model.yaml}`. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, readdir, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ExternalData, Graph } from '../../shared/graph/index.js';
import { parseOnnx } from '../../shared/onnx/index.js';
import { MODEL_NAME, MODEL_NAME_RULE } from '../../shared/wire/index.js';
import { DurableFolders } from '../files/durable-folders.js';
import { replaceFile } from '../files/replace-file.js';
import type { Manifest } from './manifest.js';
import { formatManifest, parseManifest } from './manifest.js';
import { inFile, readInputFile } from './read-input.js';

export const MODEL_FILE = 'model.onnx';
export const DATA_FILE = 'model.onnx.data';
const MANIFEST_FILE = 'model.yaml';

export interface StoredModel {
  readonly name: string;
  readonly folder: string;
  readonly manifest: Manifest;
  /** Graph as stored; `specialize.ts` makes it ready to plan. */
  readonly graph: Graph;
}

/** The folder MAFAT_MODELS names, else the one in the service's state folder, else the one in the user's. */
export function defaultModelsFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.MAFAT_MODELS !== undefined && env.MAFAT_MODELS !== '') return env.MAFAT_MODELS;
  if (env.STATE_DIRECTORY !== undefined) return join(env.STATE_DIRECTORY, 'models');
  return join(env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'mafat', 'models');
}

/** @returns the name. @throws {RangeError} if no model can have it. */
export function checkModelName(name: string): string {
  if (!MODEL_NAME.test(name))
    throw new RangeError(`Cannot use model name "${name}": expected ${MODEL_NAME_RULE}`);
  return name;
}

export interface NewModel {
  /** Weights for the data file. */
  readonly data: ExternalData['chunks'];
  /** Makes the other files' content. Called with a folder that holds the data file already. */
  readonly finish: (folder: string) => Promise<FinishedModel>;
}

export interface FinishedModel {
  readonly modelBytes: Uint8Array;
  readonly manifest: Omit<Manifest, 'digest' | 'format'>;
}

export class ModelStore {
  readonly #folder: string;
  readonly #folders: DurableFolders;

  constructor(folder: string) {
    this.#folder = folder;
    this.#folders = new DurableFolders(folder);
  }

  async list(): Promise<readonly string[]> {
    const entries = await readdir(this.#folder, { withFileTypes: true }).catch(absentAs([]));
    return entries
      .filter((entry) => entry.isDirectory() && MODEL_NAME.test(entry.name))
      .map(({ name }) => name)
      .sort();
  }

  async has(name: string): Promise<boolean> {
    return (await this.list()).includes(checkModelName(name));
  }

  /** @throws {RangeError} if there is no such model; {SyntaxError} if its files are broken. */
  async load(name: string): Promise<StoredModel> {
    if (!(await this.has(name))) {
      const known = await this.list();
      throw new RangeError(
        `Cannot load model "${name}": not in ${this.#folder}, which has ${known.length === 0 ? 'no models' : known.join(', ')}`,
      );
    }
    const folder = join(this.#folder, name);
    const manifest = await this.readManifest(name);
    const file = join(folder, MODEL_FILE);
    const bytes = await readInputFile(file);
    const graph = await inFile(file, () => parseOnnx(bytes));
    await checkData(graph, folder);
    return { name, folder, manifest, graph };
  }

  /** @throws {RangeError | SyntaxError} if it isn't there or can't be used. */
  async readManifest(name: string): Promise<Manifest> {
    const file = join(this.#folder, checkModelName(name), MANIFEST_FILE);
    return parseManifest((await readInputFile(file)).toString('utf8'), file);
  }

  /**
   * Changes a key of a model's manifest.
   * @param change gives the new text for the old one.
   * @throws {RangeError | SyntaxError} if there is no such model, or the manifest could not be used. The old one stays then.
   */
  async changeManifest(name: string, change: (yaml: string) => string): Promise<Manifest> {
    const file = join(this.#folder, checkModelName(name), MANIFEST_FILE);
    const text = change((await readInputFile(file)).toString('utf8'));
    const manifest = parseManifest(text, file);
    await replaceFile(file, text);
    return manifest;
  }

  /** SHA-256 over both files of a model, as its manifest should say. @throws if the signal aborts. */
  async digest(name: string, signal?: AbortSignal): Promise<string> {
    return digestOf(join(this.#folder, checkModelName(name)), signal);
  }

  /** @throws {RangeError} if the name is taken and `force` isn't given. */
  async save(name: string, model: NewModel, { force }: { readonly force: boolean }): Promise<Manifest> {
    await this.checkFree(name, { force });
    await mkdir(this.#folder, { recursive: true });
    return this.#folders.write(name, { write: (draft) => writeModel(draft, { name, model }) });
  }

  /** @throws {RangeError} if the name is taken and `force` isn't given. */
  async checkFree(name: string, { force }: { readonly force: boolean }): Promise<void> {
    if ((await this.has(name)) && !force) {
      throw new RangeError(`Cannot store model "${name}": the name is taken; --force replaces it`);
    }
  }

  async remove(name: string): Promise<void> {
    if (!(await this.has(name)))
      throw new RangeError(`Cannot remove model "${name}": not in ${this.#folder}`);
    await this.#folders.remove(name);
  }
}

async function writeModel(
  folder: string,
  { name, model }: { readonly name: string; readonly model: NewModel },
): Promise<Manifest> {
  await writeChunks(join(folder, DATA_FILE), model.data);
  const finished = await model.finish(folder);
  await writeFile(join(folder, MODEL_FILE), finished.modelBytes, { flag: 'wx', mode: 0o644 });
  const manifest: Manifest = { format: 1, ...finished.manifest, digest: await digestOf(folder) };
  const text = formatManifest(manifest);
  // A manifest that can't be read again must fail the import, not the next start.
  parseManifest(text, `the ${MANIFEST_FILE} of ${name}`);
  await writeFile(join(folder, MANIFEST_FILE), text, { flag: 'wx', mode: 0o644 });
  return manifest;
}

/** External weights must lie in the model's own data file, inside its size. */
async function checkData(graph: Graph, folder: string): Promise<void> {
  const file = join(folder, DATA_FILE);
  const { size } = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw new SyntaxError(
      `Cannot load ${folder}: ${error.code === 'ENOENT' ? `${DATA_FILE} is missing` : error.message}`,
    );
  });
  for (const { name, constant } of graph.tensors) {
    if (constant?.kind !== 'external') continue;
    const { location, offset, length } = constant;
    if (location === DATA_FILE && offset + length <= size) continue;
    throw new SyntaxError(
      `Cannot load ${folder}: weights "${name}" at ${location}, bytes ${offset} to ${offset + length}; ` +
        `expected ${DATA_FILE}, which has ${size}. Import the model again`,
    );
  }
}

async function writeChunks(path: string, chunks: ExternalData['chunks']): Promise<void> {
  const file = await open(path, 'wx', 0o644);
  try {
    for (const chunk of chunks) await writeAll(file, chunk);
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, { offset, bytes }: ExternalData['chunks'][number]): Promise<void> {
  let written = 0;
  while (written < bytes.byteLength) {
    const left = bytes.byteLength - written;
    written += (await file.write(bytes, written, left, offset + written)).bytesWritten;
  }
}

async function digestOf(folder: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for (const file of [MODEL_FILE, DATA_FILE]) {
    for await (const chunk of createReadStream(join(folder, file), { signal })) hash.update(chunk as Buffer);
  }
  return `sha256:${hash.digest('hex')}`;
}

function absentAs<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT') return value;
    throw error;
  };
}
