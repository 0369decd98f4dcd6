/**
 * The executor process: one request at a time over IPC. ONNX Runtime blocks this process's event loop; it
 * can be killed at any moment and replaced, and the agent loses nothing but the run.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { InputError } from '../wire/input-error.js';
import { InterruptedError } from '../wire/interrupted-error.js';
import type {
  AgentMessage,
  Answers,
  AskMessage,
  ExecutorMessage,
  Program,
  RanMessage,
  Request,
  RunRequest,
  Sent,
  SentRun,
  SentSnapshot,
  SnapshotRequest,
  Source,
  TensorSource,
} from '../wire/protocol.js';
import { release, valuesOf } from '../wire/typed-array.js';
import type { IncomingBytes } from './bytes-pipe.js';
import { PipedBytes, writeBytes } from './bytes-pipe.js';
import { Collector } from './collector.js';
import { evaluateModel, inspectModel } from './inspect.js';
import type { TensorData } from './onnx-runtime.js';
import { Session, saveSession } from './onnx-runtime.js';
import type { NetworkOutput } from './program-runner.js';
import { ProgramRunner, packOutput } from './program-runner.js';
import type { DecodedImage } from './read-image.js';
import { readImage } from './read-image.js';
import { TRIVIAL_MODEL } from './trivial-model.js';

/** Progress goes out this often at most. */
const PROGRESS_MS = 100;

type OtherRequest = Exclude<Request, RunRequest | SnapshotRequest> | SentSnapshot;
type OtherAnswer = Answers[OtherRequest['kind']];

/** What a run gives: what its answer says, and outputs that are to be released once they were sent. */
interface Ran {
  readonly result: RanMessage['result'];
  readonly outputs: readonly NetworkOutput[];
}

class ExecutorProcess {
  readonly #collector: Collector;
  #runner: { readonly program: Program; readonly runner: ProgramRunner } | undefined;
  #lastProgress = 0;
  #isRunning = false;
  #isInterrupted = false;

  constructor(collector: Collector) {
    this.#collector = collector;
  }

  async handle(request: OtherRequest, bytes: IncomingBytes): Promise<OtherAnswer> {
    switch (request.kind) {
      case 'snapshot':
        return this.#draw(request, bytes);
      case 'load':
        return this.#load(request.program);
      case 'unload':
        return this.#unload();
      case 'ping':
        return null;
      case 'inspect':
        return inspectModel(request);
      case 'evaluate':
        return evaluateModel(request);
      case 'optimize':
        await saveSession(request);
        return null;
    }
  }

  /** A run that is going on ends after its step. */
  interrupt(): void {
    this.#isInterrupted = this.#isRunning;
  }

  async #load(program: Program): Promise<null> {
    await this.#runner?.runner.unload();
    this.#runner = undefined;
    const options = { onStep: (step: number, steps: number) => this.#report(step, steps) };
    this.#runner = { program, runner: await ProgramRunner.load(program, options) };
    return null;
  }

  async #unload(): Promise<null> {
    await this.#runner?.runner.unload();
    this.#runner = undefined;
    this.#collector.collectAll();
    await purge();
    return null;
  }

  /**
   * What draws is loaded with the first snapshot, and stays: 1 MB. The rest is left to the next run.
   * @throws {InputError} naming what is wrong with the image.
   */
  async #draw(request: SentSnapshot, bytes: IncomingBytes): Promise<Uint8Array> {
    try {
      const { makeSnapshot } = await import('./make-snapshot.js');
      return await makeSnapshot(request, bytes);
    } catch (error) {
      throw asInputError(error);
    } finally {
      this.#collector.collectAll();
    }
  }

  /** @throws {InterruptedError} after the program was unloaded. */
  async run(request: SentRun, bytes: IncomingBytes): Promise<Ran> {
    this.#isRunning = true;
    try {
      return await this.#run(request, bytes);
    } catch (error) {
      if (error instanceof InterruptedError) await this.#unload();
      throw error;
    } finally {
      this.#isRunning = false;
      this.#isInterrupted = false;
    }
  }

  async #run({ image }: SentRun, bytes: IncomingBytes): Promise<Ran> {
    if (this.#runner === undefined) throw new RangeError('Cannot run: no program is loaded');
    const { program, runner } = this.#runner;
    const begin = performance.now();
    const input = await readInput(image, { bytes, program });
    const start = performance.now();
    const readMs = start - begin;
    const outputs = await runner.run(input);
    const latencyMs = performance.now() - start;
    const { width, height } = 'width' in input ? input : program.input;
    return { result: { image: { width, height }, latencyMs, readMs }, outputs };
  }

  /** @throws {InterruptedError} if the agent wants the memory of the run. */
  #report(step: number, steps: number): void {
    if (this.#isInterrupted) throw new InterruptedError(`Run interrupted after step ${step} of ${steps}`);
    this.#collector.afterStep();
    const now = performance.now();
    if (now - this.#lastProgress < PROGRESS_MS) return;
    this.#lastProgress = now;
    void send({ kind: 'progress', step, steps });
  }
}

interface InputOptions {
  readonly bytes: IncomingBytes;
  readonly program: Program;
}

/** @throws {InputError} naming what is wrong with it. */
async function readInput(
  source: Sent<Source>,
  { bytes, program }: InputOptions,
): Promise<DecodedImage | TensorData> {
  try {
    return source.kind === 'tensor'
      ? readTensor(source, { bytes, program })
      : await readImage(source, { bytes, input: program.input });
  } catch (error) {
    throw asInputError(error);
  }
}

/** What is wrong with an input, as the agent knows it. */
function asInputError(error: unknown): unknown {
  const isOfInput = error instanceof RangeError || error instanceof SyntaxError;
  return isOfInput ? new InputError(error.message) : error;
}

/** @throws {RangeError} naming shape or type, if it isn't what the network takes. */
function readTensor({ dtype, shape }: Sent<TensorSource>, { bytes, program }: InputOptions): TensorData {
  const expected = program.maps[0];
  if (expected?.dtype !== dtype || expected.shape.join() !== shape.join()) {
    throw new RangeError(
      `Cannot run on a ${dtype} tensor of [${shape.join(', ')}]: expected ${expected?.dtype} [${expected?.shape.join(', ')}]`,
    );
  }
  return { dtype, shape, data: valuesOf(dtype, bytes.readAll()) };
}

/** Time after which jemalloc gives freed pages back, by its options; absent with glibc, which does at once. */
const DECAY_MS = /dirty_decay_ms:(\d+)/.exec(process.env.MALLOC_CONF ?? '')?.[1];

/** Allocations after which jemalloc looks what it may give back, since it has no thread of its own. */
const PURGE = { afterMs: 50, allocations: 2000, bytes: 64 } as const;

/** Has freed memory given back to the system. Resolves when it was. */
async function purge(): Promise<void> {
  if (DECAY_MS === undefined) return;
  await sleep(Number(DECAY_MS) + PURGE.afterMs);
  for (let count = 0; count < PURGE.allocations; count += 1) release(new Uint8Array(PURGE.bytes));
}

/** Resolves when the message has left. Without the agent there is nobody to answer. */
function send(message: ExecutorMessage): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, undefined, (error) => {
      if (error !== null) process.exit(0);
      resolve();
    });
  });
}

/** Sends outputs, then gives their memory back. Their bytes follow a message that has left, for which the agent waits. */
async function sendRun(id: number, { result, outputs }: Ran, wanted: SentRun['outputs']): Promise<void> {
  const sent = outputs.map(({ name, tensor: { dtype, shape, data } }) => {
    return { name, dtype, shape, byteCount: wanted === 'values' ? data.byteLength : 0 };
  });
  await send({ kind: 'ran', id, result, outputs: sent });
  if (wanted === 'values')
    for (const { bytes } of outputs.map(packOutput)) if (bytes !== undefined) writeBytes(bytes);
  for (const data of new Set(outputs.map(({ tensor }) => tensor.data))) release(data);
}

async function answer(executor: ExecutorProcess, message: AskMessage): Promise<void> {
  const { id, request } = message;
  const bytes = new PipedBytes(message);
  try {
    if (request.kind === 'run') await sendRun(id, await executor.run(request, bytes), request.outputs);
    else await send({ kind: 'answer', id, answer: await executor.handle(request, bytes) });
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    await send({ kind: 'error', id, name, message });
  }
  bytes.skip();
}

interface Serving {
  readonly executor: ExecutorProcess;
  readonly collector: Collector;
}

async function serve({ executor, collector }: Serving, message: AskMessage): Promise<void> {
  await answer(executor, message);
  if (message.request.kind === 'run') collector.afterRun();
  else if (message.request.kind !== 'ping') collector.collectAll();
}

/** Idle is measured after this: ONNX Runtime's own start is no part of any model's memory. */
async function start(): Promise<void> {
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C and service managers signal the whole group; the agent ends this process when its work is done.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  const session = await Session.create(TRIVIAL_MODEL, { folder: '.', level: 'disabled', threads: 1 });
  await session.run({ x: { dtype: 'float32', shape: [1], data: new Float32Array(1) } });
  await session.release();
  const collector = new Collector();
  const serving = { executor: new ExecutorProcess(collector), collector };
  let queue: Promise<void> = Promise.resolve();
  process.on('message', (message: AgentMessage) => {
    if (message.kind === 'interrupt') serving.executor.interrupt();
    else queue = queue.then(() => serve(serving, message));
  });
  collector.compact();
  await send({ kind: 'ready' });
}

await start();
