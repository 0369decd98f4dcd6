/**
 * Stock ONNX Runtime in a plain Node process, which the benches start. One session runs the whole stored model. The
 * model is loaded by path, so that external weights are mapped if the level allows it. Other options have their
 * defaults.
 *
 *     node dist/bench/stock-process.js JOB        (a StockJob as JSON)
 *
 * Requests and answers are lines of JSON on stdin and stdout, as in stock-client.ts. The process has run a model of
 * one node before it answers that it is ready, so that ONNX Runtime's own memory counts as idle.
 */

import { createInterface } from 'node:readline';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { TRIVIAL_MODEL } from '../agent/engine/child/trivial-model.js';
import type { ImageInput } from '../agent/engine/wire/protocol.js';
import { numberToHalf, present } from '../shared/graph/index.js';
import type { Level } from '../shared/predict/index.js';
import type { LineAnswer, LineOutput, LineRequest } from './stock-client.js';
import { noiseInput } from './stock-input.js';

export interface StockJob {
  readonly modelFile: string;
  readonly input: {
    readonly name: string;
    readonly shape: readonly number[];
    readonly dtype: ImageInput['dtype'];
  };
  readonly level: Level;
  readonly threads: number;
  readonly arena: boolean;
}

type Outputs = InferenceSession.OnnxValueMapType;

class StockRunner {
  readonly #job: StockJob;
  #session: InferenceSession | undefined;
  #feeds: InferenceSession.FeedsType = {};

  constructor(job: StockJob) {
    this.#job = job;
  }

  async load(): Promise<void> {
    const { modelFile, input, level, threads, arena } = this.#job;
    this.#session = await InferenceSession.create(modelFile, {
      executionProviders: ['cpu'],
      graphOptimizationLevel: level,
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      enableCpuMemArena: arena,
      enableMemPattern: arena,
    });
    this.#feeds = { [input.name]: noiseTensor(input) };
  }

  async run(): Promise<Outputs> {
    if (this.#session === undefined)
      throw new RangeError('Cannot run the network: no model is loaded, expected a request to load first');
    return this.#session.run(this.#feeds);
  }
}

async function handle(runner: StockRunner, { ask }: LineRequest): Promise<LineAnswer> {
  if (ask === 'load') {
    await runner.load();
    return {};
  }
  const start = performance.now();
  const outputs = await runner.run();
  const latencyMs = performance.now() - start;
  return ask === 'run' ? { latencyMs } : { latencyMs, outputs: Object.entries(outputs).map(packOutput) };
}

function noiseTensor({ shape, dtype }: StockJob['input']): Tensor {
  const values = noiseInput(shape);
  const dims = [...shape];
  if (dtype === 'uint8')
    return new Tensor(
      dtype,
      Uint8Array.from(values, (value) => value * 255),
      dims,
    );
  if (dtype === 'float16') return new Tensor(dtype, Uint16Array.from(values, numberToHalf), dims);
  return new Tensor(dtype, values, dims);
}

function packOutput([name, value]: readonly [string, InferenceSession.OnnxValueMapType[string]]): LineOutput {
  const { dims, data } = value as Tensor;
  const { buffer, byteOffset, byteLength } = data as Float32Array;
  return { name, shape: dims, base64: Buffer.from(buffer, byteOffset, byteLength).toString('base64') };
}

function say(answer: LineAnswer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

async function startRuntime(): Promise<void> {
  const session = await InferenceSession.create(TRIVIAL_MODEL);
  await session.run({ x: new Tensor('float32', new Float32Array(1), [1]) });
  await session.release();
}

const runner = new StockRunner(JSON.parse(present(process.argv[2], 'argument JOB')) as StockJob);
await startRuntime();
say({});
for await (const line of createInterface({ input: process.stdin })) {
  try {
    say(await handle(runner, JSON.parse(line) as LineRequest));
  } catch (error) {
    say({ error: error instanceof Error ? error.message : String(error) });
  }
}
