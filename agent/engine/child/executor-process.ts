/**
 * The executor process: one request at a time over IPC. ONNX Runtime blocks this process's event loop; it
 * can be killed at any moment and replaced, and the agent loses nothing but the run.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { InputError } from '../wire/input-error.js';
import { InterruptedError } from '../wire/interrupted-error.js';
import type {
  AgentMessage,
  Answers,
  ExecutorMessage,
  ImageSource,
  Program,
  Request,
  RunResult,
  TensorSource,
} from '../wire/protocol.js';
import { release, valuesOf } from '../wire/typed-array.js';
import type { DecodedImage } from './image.js';
import { decodeImage } from './image.js';
import { evaluateModel, inspectModel } from './inspect.js';
import type { TensorData } from './onnx-runtime.js';
import { Session, saveSession } from './onnx-runtime.js';
import { ProgramRunner, packOutput } from './program-runner.js';
import { TRIVIAL_MODEL } from './trivial-model.js';

/** Progress goes out this often at most. */
const PROGRESS_MS = 100;

/** Images and tensors come in messages, whose memory the collector alone can free: some 9 ms, each time this much came. */
const COLLECT_BYTES = 3 * 2 ** 20;

class ExecutorProcess {
  #runner: { readonly program: Program; readonly runner: ProgramRunner } | undefined;
  #lastProgress = 0;
  /** Outputs of the last run. */
  #sent: readonly TensorData[] = [];
  /** In messages, since garbage was collected. */
  #receivedBytes = 0;
  #isRunning = false;
  #isInterrupted = false;

  async handle(request: Request): Promise<Answers[keyof Answers]> {
    switch (request.kind) {
      case 'load':
        return this.#load(request.program);
      case 'unload':
        return this.#unload();
      case 'run':
        return this.#runToEnd(request);
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
    collectGarbage();
    await purge();
    return null;
  }

  /** @throws {InterruptedError} after the program was unloaded. */
  async #runToEnd(request: RunRequest): Promise<RunResult> {
    this.#isRunning = true;
    try {
      return await this.#run(request);
    } catch (error) {
      if (error instanceof InterruptedError) await this.#unload();
      throw error;
    } finally {
      this.#isRunning = false;
      this.#isInterrupted = false;
    }
  }

  async #run({ image, outputs }: RunRequest): Promise<RunResult> {
    if (this.#runner === undefined) throw new RangeError('Cannot run: no program is loaded');
    const { program, runner } = this.#runner;
    const input = await readInput(image, program);
    const start = performance.now();
    const results = await runner.run(input);
    const latencyMs = performance.now() - start;
    const { width, height } = 'width' in input ? input : program.input;
    this.#sent = results.map(({ tensor }) => tensor);
    return {
      image: { width, height },
      latencyMs,
      outputs: results.map(({ name, tensor }) => packOutput(name, tensor, outputs === 'values')),
    };
  }

  /** After an answer has been sent: its tensors go, and now and then what messages left behind. */
  afterAnswer(request: Request): void {
    for (const buffer of new Set(this.#sent.map(({ data }) => data))) release(buffer);
    this.#sent = [];
    if (request.kind !== 'run') return;
    this.#receivedBytes += sizeOf(request.image);
    if (this.#receivedBytes < COLLECT_BYTES) return;
    this.#receivedBytes = 0;
    collectGarbage();
  }

  /** @throws {InterruptedError} if the agent wants the memory of the run. */
  #report(step: number, steps: number): void {
    if (this.#isInterrupted) throw new InterruptedError(`Run interrupted after step ${step} of ${steps}`);
    const now = performance.now();
    if (now - this.#lastProgress < PROGRESS_MS) return;
    this.#lastProgress = now;
    send({ kind: 'progress', step, steps });
  }
}

function sizeOf(source: ImageSource | TensorSource): number {
  return source.kind === 'file' ? 0 : source.bytes.byteLength;
}

/** @throws {InputError} naming what is wrong with it. */
async function readInput(
  source: ImageSource | TensorSource,
  program: Program,
): Promise<DecodedImage | TensorData> {
  try {
    return source.kind === 'tensor' ? tensorInput(source, program) : await decodeImage(source, program.input);
  } catch (error) {
    throw error instanceof RangeError || error instanceof SyntaxError ? new InputError(error.message) : error;
  }
}

/** @throws {RangeError} naming shape or type, if it isn't what the network takes. */
function tensorInput({ dtype, shape, bytes }: TensorSource, { maps }: Program): TensorData {
  const expected = maps[0];
  if (expected?.dtype !== dtype || expected.shape.join() !== shape.join()) {
    throw new RangeError(
      `Cannot run on a ${dtype} tensor of [${shape.join(', ')}]: expected ${expected?.dtype} [${expected?.shape.join(', ')}]`,
    );
  }
  return { dtype, shape, data: valuesOf(dtype, bytes) };
}

/** Collects what the start left, and closes the gaps between: 1 MB less than a plain collection gives back. */
function compactHeap(): void {
  setFlagsFromString('--compact-on-every-full-gc');
  collectGarbage();
  setFlagsFromString('--no-compact-on-every-full-gc');
}

/**
 * Time after which jemalloc may give freed pages back, and allocations after which it looks whether it should: it has
 * no thread of its own. With glibc they do nothing.
 */
const PURGE = { afterMs: 120, allocations: 2000, bytes: 64 } as const;

/** Has freed memory given back to the system at once. */
async function purge(): Promise<void> {
  await sleep(PURGE.afterMs);
  for (let count = 0; count < PURGE.allocations; count += 1) release(new Uint8Array(PURGE.bytes));
}

/** `globalThis.gc`, present under --expose-gc. */
function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

type RunRequest = Extract<Request, { kind: 'run' }>;
type Asked = Extract<AgentMessage, { kind: 'ask' }>;

function send(message: ExecutorMessage): void {
  // Without the agent there is nobody to answer.
  process.send?.(message, undefined, undefined, (error) => {
    if (error !== null) process.exit(0);
  });
}

async function answer(executor: ExecutorProcess, { id, request }: Asked): Promise<void> {
  try {
    send({ kind: 'answer', id, answer: await executor.handle(request) });
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    send({ kind: 'error', id, name, message });
  }
  executor.afterAnswer(request);
}

/** Idle is measured after this: ONNX Runtime's own start is no part of any model's memory. */
async function start(): Promise<void> {
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C and service managers signal the whole group; the agent ends this process when its work is done.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  const session = await Session.create(TRIVIAL_MODEL, { folder: '.', level: 'disabled', threads: 1 });
  await session.run({ x: { dtype: 'float32', shape: [1], data: new Float32Array(1) } });
  await session.release();
  const executor = new ExecutorProcess();
  let queue: Promise<void> = Promise.resolve();
  process.on('message', (message: AgentMessage) => {
    if (message.kind === 'interrupt') executor.interrupt();
    else queue = queue.then(() => answer(executor, message));
  });
  compactHeap();
  send({ kind: 'ready' });
}

await start();
