/**
 * Keeps weights mapped at the levels where convolutions run in blocked layout.
 *
 * At `layout` and `all` ONNX Runtime reorders weights and holds the result on the heap of each session. A
 * model that was saved once at that level runs the same kernels on the same numbers, and has its weights
 * mapped. So each segment is saved once for each machine (save-optimized.ts). A separate executor saves it, so that the
 * memory this takes is free again before the program is loaded. A segment can't be saved
 * without room or permission, or if its weights are inside the model. Then its weights are copied to the
 * heap.
 *
 * The saved weights take as much disk again as those of the model; `optimized-store.ts` sets the limits.
 */

import { access, constants } from 'node:fs/promises';
import { isBlocked } from '../../../shared/predict/index.js';
import { readMachine } from '../../board/machine.js';
import type { Executor } from '../wire/executor.js';
import type { OptimizedModel, Program, SegmentProgram, SessionProgram } from '../wire/protocol.js';
import type { OptimizedKey } from './optimized-key.js';
import { keyOf } from './optimized-key.js';
import { OptimizedStore } from './optimized-store.js';
import { saveOptimized } from './save-optimized.js';

export interface OptimizerOptions {
  /** Starts an executor of its own for saving. */
  readonly startExecutor: () => Promise<Executor>;
  /** Name of ONNX Runtime's version and the processor. By default it is read from this machine. */
  readonly machine?: string;
  /** Called with the reason why weights stay on the heap, or why old models weren't removed. */
  readonly onFailed?: (reason: string) => void;
}

export interface OptimizeOptions {
  readonly signal?: AbortSignal;
  /** Called before a session is saved. Saving takes seconds. */
  readonly onSave?: () => void;
}

/** Whether weights of a stored model can probably be mapped at the blocked levels. Only saving it would tell. */
export async function canMapWeights(folder: string): Promise<boolean> {
  // Without blocked kernels nothing is reordered.
  if (readMachine() === undefined) return true;
  try {
    await access(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

export class ModelOptimizer {
  readonly #options: OptimizerOptions;
  /** Keys that couldn't be saved. They are tried again by the next process only, since each try costs memory. */
  readonly #refused = new Set<string>();

  constructor(options: OptimizerOptions) {
    this.#options = options;
  }

  /**
   * The program with an optimised model for each session that has one or can get one.
   * @throws {ExecutorError} if the executor that saves is lost; the signal's reason if it aborts.
   */
  async optimize(program: Program, options: OptimizeOptions = {}): Promise<Program> {
    const machine = this.#options.machine ?? readMachine();
    if (!isBlocked(program.settings.level) || machine === undefined) return program;
    const run = new OptimizerRun(program, {
      ...options,
      machine,
      startExecutor: this.#options.startExecutor,
      refused: this.#refused,
      onFailed: (error) => this.#options.onFailed?.(error instanceof Error ? error.message : String(error)),
    });
    try {
      return await run.optimize();
    } finally {
      await run.end();
    }
  }
}

interface RunOptions extends OptimizeOptions {
  readonly machine: string;
  readonly startExecutor: OptimizerOptions['startExecutor'];
  readonly refused: Set<string>;
  readonly onFailed: (error: unknown) => void;
}

/** The optimisation of one program. */
class OptimizerRun {
  readonly #program: Program;
  readonly #options: RunOptions;
  readonly #store: OptimizedStore;
  /** Keys of the program's sessions, by name. */
  readonly #used = new Map<string, OptimizedKey>();
  #executor: Executor | undefined;
  #made = 0;

  constructor(program: Program, options: RunOptions) {
    this.#program = program;
    this.#options = options;
    this.#store = new OptimizedStore(program.folder, options.machine);
  }

  async optimize(): Promise<Program> {
    const segments: SegmentProgram[] = [];
    for (const segment of this.#program.segments) {
      const sessions: SessionProgram[] = [];
      for (const session of segment.sessions) sessions.push(await this.#optimizeSession(session));
      segments.push({ ...segment, sessions });
    }
    return { ...this.#program, segments };
  }

  /** Removes old entries if new ones were made, so that the disk keeps its limits. */
  async end(): Promise<void> {
    await this.#stopExecutor();
    if (this.#made === 0) return;
    const storedBytes = Math.max(...[...this.#used.values()].map((key) => key.storedBytes));
    await this.#store
      .prune({ keep: new Set(this.#used.keys()), storedBytes })
      .catch((error: unknown) => this.#options.onFailed(error));
  }

  async #optimizeSession(session: SessionProgram): Promise<SessionProgram> {
    const {
      folder,
      settings: { level },
    } = this.#program;
    const key = await keyOf({ model: session.model, folder, level }, this.#options.machine);
    if (key === undefined) return session;
    this.#used.set(key.name, key);
    const optimized = (await this.#store.find(key.name)) ?? (await this.#make(key, session.model));
    return optimized === undefined ? session : { ...session, optimized };
  }

  async #make({ name, weightsBytes }: OptimizedKey, model: Uint8Array): Promise<OptimizedModel | undefined> {
    const { refused, onFailed, signal } = this.#options;
    if (refused.has(name)) return undefined;
    try {
      const made = await this.#store.create(name, { weightsBytes, write: (into) => this.#save(model, into) });
      this.#made += 1;
      return made;
    } catch (error) {
      await this.#stopExecutor();
      // Want of memory passes. It says nothing about the weights.
      if (signal?.aborted === true || isLoss(error)) throw error;
      refused.add(name);
      onFailed(error);
      return undefined;
    }
  }

  async #save(model: Uint8Array, into: string): Promise<void> {
    const { signal, onSave } = this.#options;
    const {
      folder,
      settings: { level },
    } = this.#program;
    signal?.throwIfAborted();
    onSave?.();
    this.#executor ??= await this.#options.startExecutor();
    await saveOptimized({ model, folder, level, into, executor: this.#executor, signal });
  }

  /** Stops the executor, which may be lost. The next segment may need less memory and gets a new one. */
  async #stopExecutor(): Promise<void> {
    await this.#executor?.stop();
    this.#executor = undefined;
  }
}

function isLoss(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EXECUTOR_LOST';
}
