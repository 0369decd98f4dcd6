/** One turn of one contestant in bench/latency-memory: its own process, from idle to the last of its runs. */
import { PeakMeter } from '../agent/board/process-memory.js';
import type { OutputTensor } from '../agent/engine/wire/protocol.js';
import type { Contestant } from './contestant.js';
import { settle } from './contestant.js';
import { readProcessors, stolenRatio } from './stolen-time.js';

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

/** A hypervisor that gave more than this of the processors to others has spoilt the times. */
const MOST_STOLEN = 0.02;

const TRIES = 4;

/** The least disturbed of up to four turns; where nothing is stolen, or nobody says so, the first. */
export async function takeTurn(contestant: Contestant, options: TurnOptions): Promise<CheckedTurn> {
  let best: { readonly turn: CheckedTurn; readonly stolen: number } | undefined;
  for (let tries = 0; tries < TRIES && (best === undefined || best.stolen > MOST_STOLEN); tries += 1) {
    const before = readProcessors();
    const turn = await tryTurn(contestant, options);
    const stolen = stolenRatio(before, readProcessors());
    if (best === undefined || stolen < best.stolen) best = { turn, stolen };
  }
  if (best === undefined) throw new RangeError('Cannot take a turn: no tries');
  return best.turn;
}

async function tryTurn(contestant: Contestant, { runs, check }: TurnOptions): Promise<CheckedTurn> {
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
