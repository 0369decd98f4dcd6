/** Contestants without a plan: stock ONNX Runtime (stock-process.ts) and OpenCV (stock-opencv.ts). */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MODEL_FILE } from '../agent/models/model-store.js';
import { inputShape } from '../agent/models/specialize.js';
import type { Network } from '../agent/planning/open-model.js';
import { present } from '../shared/graph/index.js';
import type { Level } from '../shared/predict/index.js';
import type { Contestant, ContestantProcess } from './contestant.js';
import { DEADLINE_MS } from './contestant.js';
import type { LineRequest, ProgramSpec } from './stock-client.js';
import { LineProgram } from './stock-client.js';
import type { StockJob } from './stock-process.js';

interface StockSetting {
  readonly level: Level;
  readonly memory: 'arena' | 'no arena' | 'trimmed malloc';
}

export const STOCK_SETTINGS: readonly StockSetting[] = (['extended', 'all'] as const).flatMap((level) =>
  (['arena', 'no arena', 'trimmed malloc'] as const).map((memory) => ({ level, memory })),
);

/** Makes glibc return freed memory to the system at once, as is usual advice for small boards. */
const TRIMMED_MALLOC = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: '131072',
  MALLOC_TRIM_THRESHOLD_: '131072',
};

/** Stops ONNX Runtime from sending telemetry. */
const PRIVACY = { ORT_DISABLE_TELEMETRY: '1' };

/** A model's file, and its one input. */
export type StockModel = Pick<StockJob, 'modelFile' | 'input'>;

/** The model as it is stored. */
export function storedModel({ input: { name, ...input }, folder }: Network): StockModel {
  return {
    modelFile: join(folder, MODEL_FILE),
    input: { name, shape: inputShape({ name, ...input }), dtype: input.dtype },
  };
}

export function stockContestant(
  { modelFile, input }: StockModel,
  { level, memory }: StockSetting,
  threads: number,
): Contestant {
  const job: StockJob = { modelFile, input, level, threads, arena: memory === 'arena' };
  const program: ProgramSpec = {
    command: process.execPath,
    args: [fileURLToPath(new URL('./stock-process.js', import.meta.url)), JSON.stringify(job)],
    env: memory === 'trimmed malloc' ? { ...TRIMMED_MALLOC, ...PRIVACY } : PRIVACY,
  };
  return { party: 'stock', name: `stock ${level}, ${memory}`, level, start: () => startProgram(program) };
}

export function openCvContestant(program: ProgramSpec): Contestant {
  return { party: 'OpenCV', name: 'OpenCV dnn', start: () => startProgram(program) };
}

async function startProgram(spec: ProgramSpec): Promise<ContestantProcess> {
  const program = await LineProgram.start(spec);
  const ask = (what: LineRequest['ask']) => program.ask({ ask: what }, DEADLINE_MS);
  return {
    pid: program.pid,
    idleBytes: program.idleBytes,
    load: async () => void (await ask('load')),
    run: async () => present((await ask('run')).latencyMs, 'latency of a run'),
    check: async () =>
      (await ask('check')).outputs?.map(({ name, shape, base64 }) => {
        return {
          name,
          shape,
          dtype: 'float32' as const,
          bytes: new Uint8Array(Buffer.from(base64, 'base64')),
        };
      }),
    stop: () => program.stop(),
  };
}
