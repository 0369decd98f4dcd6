/** One turn of one contestant in bench/latency-memory: its own process, from idle to the last of its runs. */
import { PeakMeter } from '../agent/engine/process-memory.js';
import type { OutputTensor } from '../agent/engine/protocol.js';
import type { Contestant } from './contestant.js';
import { settle } from './contestant.js';

export interface Turn {
  /** Peak of private memory above idle, over loading, warming up and all runs. */
  readonly workingBytes: number;
  readonly latencyMs: readonly number[];
}

export interface CheckedTurn extends Turn {
  readonly outputs: readonly OutputTensor[] | undefined;
}

export interface TurnOptions {
  readonly runs: number;
  /** Then one more run, not measured, whose outputs are kept. */
  readonly check: boolean;
}

export async function takeTurn(contestant: Contestant, { runs, check }: TurnOptions): Promise<CheckedTurn> {
  const process = await contestant.start();
  const meter = new PeakMeter(process.pid, { idleBytes: process.idleBytes });
  try {
    meter.start();
    await process.load();
    await process.run();
    const latencyMs: number[] = [];
    for (let run = 0; run < runs; run += 1) latencyMs.push(await process.run());
    const workingBytes = meter.stop();
    return { workingBytes, latencyMs, outputs: check ? await process.check() : undefined };
  } finally {
    meter.stop();
    await process.stop();
    await settle();
  }
}
