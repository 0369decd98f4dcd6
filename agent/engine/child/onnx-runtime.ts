/**
 * The only file that touches onnxruntime-node. Runs in the executor process: `create` and `run` block the
 * event loop. Facts and their sources: docs/ARCHITECTURE.md, "The runtime".
 */

import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as OnnxRuntime from 'onnxruntime-node';
import type { InferenceSession } from 'onnxruntime-node';
import type { DataType } from '../../../shared/graph/index.js';
import type { Level } from '../../../shared/predict/index.js';
import {
  DISABLED_BEFORE_CUTTING,
  DISABLED_IN_SEGMENTS,
  DISABLED_OPTIMIZERS,
  MIN_MAPPED_BYTES,
} from '../blocked/optimizer-settings.js';
import type { OptimizeRequest } from '../wire/protocol.js';
import { OPTIMIZED_DATA, OPTIMIZED_MODEL } from '../wire/protocol.js';
import type { TypedArray } from '../wire/typed-array.js';

/** Loaded as CommonJS: as an ES module it leaves 1 MB more on the heap (bench/idle). */
const onnxRuntime: typeof OnnxRuntime = createRequire(import.meta.url)('onnxruntime-node');

export interface TensorData {
  readonly dtype: DataType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

export interface SessionOptions {
  /** Folder that external weights are mapped from. */
  readonly folder: string;
  readonly level: Level;
  readonly threads: number;
  /**
   * From the second run of the same shapes on, what a run needs is one block. Where memory is given back after
   * each run, that is fewer faults; where it is kept, blocks of several sizes are hard to place.
   */
  readonly onePiece?: boolean;
  /** Whether the model is a segment of an imported network, whose operators on bytes have been fused. */
  readonly isSegment?: boolean;
}

export interface TensorInfo {
  readonly name: string;
  readonly dtype: DataType;
  /** null where the shape isn't known before a run. */
  readonly shape: readonly number[] | null;
}

/** ONNX Runtime's highest log level: errors are thrown, so printing them would only repeat them. */
const FATAL = 4;

export class Session {
  readonly #session: InferenceSession;

  private constructor(session: InferenceSession) {
    this.#session = session;
  }

  /** @param model ONNX bytes. @throws {Error} with ONNX Runtime's reason. */
  static async create(model: Uint8Array, options: SessionOptions): Promise<Session> {
    return new Session(
      await plainErrors(() => onnxRuntime.InferenceSession.create(model, nativeOptions(options))),
    );
  }

  get inputs(): readonly TensorInfo[] {
    return this.#session.inputMetadata.map(infoOf);
  }

  get outputs(): readonly TensorInfo[] {
    return this.#session.outputMetadata.map(infoOf);
  }

  /** Of an input, as the model says; undefined where it doesn't. */
  channelsOf(input: string): number | undefined {
    const metadata = this.#session.inputMetadata.find(({ name }) => name === input);
    const channels = metadata?.isTensor === true ? metadata.shape[1] : undefined;
    return typeof channels === 'number' ? channels : undefined;
  }

  /** Feeds are views, never copied; results are fresh copies that the caller owns. */
  async run(
    feeds: Readonly<Record<string, TensorData>>,
    fetches?: readonly string[],
  ): Promise<Record<string, TensorData>> {
    const tensors = Object.fromEntries(
      Object.entries(feeds).map(([name, { dtype, shape, data }]) => [
        name,
        new onnxRuntime.Tensor(dtype, data, [...shape]),
      ]),
    );
    const results = await plainErrors(() =>
      fetches === undefined ? this.#session.run(tensors) : this.#session.run(tensors, [...fetches]),
    );
    return Object.fromEntries(
      Object.entries(results).map(([name, tensor]) => [
        name,
        {
          dtype: tensor.type as DataType,
          shape: tensor.dims,
          data: rawHalves(tensor.data as TypedArray, tensor.type),
        },
      ]),
    );
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

/**
 * Saves a session's graph and reordered weights as files, not yet flushed. Takes about twice the weights meanwhile.
 * @throws {Error} with ONNX Runtime's reason.
 */
export async function saveSession({
  model,
  folder,
  level,
  into,
  forCutting,
}: OptimizeRequest): Promise<void> {
  const options = nativeOptions({ folder, level, threads: 1 });
  const disabled = forCutting === true ? DISABLED_BEFORE_CUTTING : DISABLED_IN_SEGMENTS;
  const saving = {
    optimized_model_external_initializers_file_name: OPTIMIZED_DATA,
    optimized_model_external_initializers_min_size_in_bytes: String(MIN_MAPPED_BYTES),
  };
  const session = await plainErrors(() =>
    onnxRuntime.InferenceSession.create(model, {
      ...options,
      optimizedModelFilePath: join(into, OPTIMIZED_MODEL),
      extra: {
        session: { ...options.extra.session, ...saving },
        optimization: { disable_specified_optimizers: disabled },
      },
    }),
  );
  await session.release();
}

function nativeOptions({ folder, level, threads, onePiece = false, isSegment = false }: SessionOptions) {
  return {
    executionProviders: ['cpu'],
    graphOptimizationLevel: level,
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    enableCpuMemArena: false,
    enableMemPattern: onePiece,
    logSeverityLevel: FATAL,
    extra: {
      session: {
        model_external_initializers_file_folder_path: folder,
        force_spinning_stop: '1',
        disable_prepacking: '1',
      },
      optimization: {
        disable_specified_optimizers: isSegment ? DISABLED_IN_SEGMENTS : DISABLED_OPTIMIZERS,
      },
    },
  } as const satisfies InferenceSession.SessionOptions;
}

/** Where JavaScript has a Float16Array, halves come as one; here they are bits, as in a file. */
function rawHalves(data: TypedArray, type: string): TypedArray {
  return type === 'float16' ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data;
}

function infoOf(metadata: InferenceSession.ValueMetadata): TensorInfo {
  if (!metadata.isTensor) return { name: metadata.name, dtype: 'float32', shape: null };
  const isKnown = metadata.shape.every((dim) => typeof dim === 'number' && dim >= 0);
  return {
    name: metadata.name,
    dtype: metadata.type as DataType,
    shape: isKnown ? (metadata.shape as number[]) : null,
  };
}

/** Place and signature in ONNX Runtime's own source, with which many of its messages begin. */
const SOURCE_PLACE = /\/onnxruntime_src\/\S+:\d+ .*?\)\s(?:\[with .*?\]\s)?/s;

/** ONNX Runtime's errors with what they say, without where in its source they say it. */
async function plainErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(message.replace(SOURCE_PLACE, '').trim());
  }
}
