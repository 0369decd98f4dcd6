/**
 * The folder of stored models: `<models>/<name>/{model.onnx, model.onnx.data, model.yaml}`.
 *
 * A model appears whole or not at all: it is written to a hidden folder beside its place, flushed to disk,
 * and renamed. Replacing one moves the old out of the way first; a crash between the two renames leaves the
 * old model under its hidden name, never a half one.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { mkdir, mkdtemp, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ExternalData, Graph } from '../../shared/graph/index.js';
import { parseOnnx } from '../../shared/onnx/index.js';
import type { Manifest } from './manifest.js';
import { formatManifest, parseManifest } from './manifest.js';
import { inFile, readInputFile } from './read-input.js';

export const MODEL_FILE = 'model.onnx';
export const DATA_FILE = 'model.onnx.data';
const MANIFEST_FILE = 'model.yaml';

/** Folders that only exist while a model is being stored or removed. */
const HIDDEN = /^\.(import|replaced|remove)-/;

/** Longer than any import takes: a younger one may belong to a process that is still at it. */
const SWEEP_AFTER_MS = 60 * 60_000;

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/i;

export interface StoredModel {
  readonly name: string;
  readonly folder: string;
  readonly manifest: Manifest;
  /** As stored; `specialize.ts` makes it ready to plan. */
  readonly graph: Graph;
}

/** MAFAT_MODELS, else the service's state folder, else the user's. */
export function defaultModelsFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.MAFAT_MODELS !== undefined && env.MAFAT_MODELS !== '') return env.MAFAT_MODELS;
  if (env.STATE_DIRECTORY !== undefined) return join(env.STATE_DIRECTORY, 'models');
  return join(env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'mafat', 'models');
}

/** @throws {RangeError} if it can't be the name of a folder of the store. */
export function checkModelName(name: string): string {
  if (!NAME.test(name)) {
    throw new RangeError(
      `Cannot use model name "${name}": expected 1 to 64 letters, digits, ".", "_" or "-", starting with a letter or digit`,
    );
  }
  return name;
}

export interface NewModel {
  /** Weights, for the data file. */
  readonly data: ExternalData['chunks'];
  /** Called with a folder that holds the data file already, to make the rest. */
  readonly finish: (folder: string) => Promise<FinishedModel>;
}

export interface FinishedModel {
  readonly modelBytes: Uint8Array;
  readonly manifest: Omit<Manifest, 'digest' | 'format'>;
}

export class ModelStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async list(): Promise<readonly string[]> {
    const entries = await readdir(this.#folder, { withFileTypes: true }).catch(absentAs([]));
    return entries
      .filter((entry) => entry.isDirectory() && NAME.test(entry.name))
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

  /** SHA-256 over both files of a model, as its manifest should say. */
  async digest(name: string): Promise<string> {
    return digestOf(join(this.#folder, checkModelName(name)));
  }

  /** @throws {RangeError} if the name is taken and `force` isn't given. */
  async save(name: string, model: NewModel, { force }: { readonly force: boolean }): Promise<Manifest> {
    await this.checkFree(name, { force });
    await mkdir(this.#folder, { recursive: true });
    await this.#sweep();
    const draft = await mkdtemp(join(this.#folder, '.import-'));
    try {
      await writeFlushed(join(draft, DATA_FILE), model.data);
      const finished = await model.finish(draft);
      await writeFlushed(join(draft, MODEL_FILE), [{ offset: 0, bytes: finished.modelBytes }]);
      const manifest: Manifest = { format: 1, ...finished.manifest, digest: await digestOf(draft) };
      const text = formatManifest(manifest);
      parseManifest(text, `the ${MANIFEST_FILE} of ${name}`);
      await writeFlushed(join(draft, MANIFEST_FILE), [{ offset: 0, bytes: Buffer.from(text) }]);
      await flushFolder(draft);
      await this.#moveIntoPlace(draft, name);
      return manifest;
    } catch (error) {
      await rm(draft, { recursive: true, force: true });
      throw error;
    }
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
    const trash = await mkdtemp(join(this.#folder, '.remove-'));
    await rename(join(this.#folder, name), join(trash, name));
    await rm(trash, { recursive: true });
  }

  async #moveIntoPlace(draft: string, name: string): Promise<void> {
    const place = join(this.#folder, name);
    const replaced = await mkdtemp(join(this.#folder, '.replaced-'));
    await rename(place, join(replaced, name)).catch(absentAs(undefined));
    try {
      await rename(draft, place);
    } catch (error) {
      await rename(join(replaced, name), place).catch(absentAs(undefined));
      throw error;
    }
    await flushFolder(this.#folder);
    await rm(replaced, { recursive: true });
  }

  /** Clears away what a crash or a power cut left: drafts, and old models whose successor is in place. */
  async #sweep(): Promise<void> {
    for (const hidden of await readdir(this.#folder)) {
      const path = join(this.#folder, hidden);
      if (!HIDDEN.test(hidden) || Date.now() - (await stat(path)).mtimeMs < SWEEP_AFTER_MS) continue;
      if (hidden.startsWith('.replaced-')) await this.#restore(path);
      await rm(path, { recursive: true, force: true });
    }
  }

  async #restore(replaced: string): Promise<void> {
    for (const name of await readdir(replaced)) {
      if (!(await this.has(name))) await rename(join(replaced, name), join(this.#folder, name));
    }
  }
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

async function writeFlushed(path: string, chunks: ExternalData['chunks']): Promise<void> {
  const file = await open(path, 'wx', 0o644);
  try {
    for (const chunk of chunks) await writeAll(file, chunk);
    await file.sync();
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

/** A rename is durable once the folder that holds it is. */
async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function digestOf(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const file of [MODEL_FILE, DATA_FILE]) {
    for await (const chunk of createReadStream(join(folder, file))) hash.update(chunk as Buffer);
  }
  return `sha256:${hash.digest('hex')}`;
}

function absentAs<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT') return value;
    throw error;
  };
}
