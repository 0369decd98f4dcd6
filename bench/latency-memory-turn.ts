/** A turn of a contestant: a new process loads the network, warms up and runs it some times. */
import { PeakMeter } from '../agent/board/process-memory.js';
import type { OutputTensor } from '../agent/engine/wire/protocol.js';
import type { Contestant } from './contestant.js';
import { settle } from './contestant.js';
import { readProcessors, stolenRatio } from './stolen-time.js';

interface Turn {
  /** Peak of private memory above idle during loading, warming up and all runs. */
  readonly workingBytes: number;
  readonly latencyMs: readonly number[];
}

export interface CheckedTurn extends Turn {
  readonly outputs: readonly OutputTensor[] | undefined;
}

interface TurnOptions {
  readonly runs: number;
  /** Whether one more run follows, which isn't measured and whose outputs are kept. */
  readonly check: boolean;
}

/** Largest share of the processors' time that a hypervisor may take before the turn is repeated. */
const MOST_STOLEN = 0.02;

const TRIES = 4;

/** Takes turns until one is undisturbed by a hypervisor, or returns the least disturbed of all tries. */
export async function takeTurn(contestant: Contestant, options: TurnOptions): Promise<CheckedTurn> {
  let best: { readonly turn: CheckedTurn; readonly stolen: number } | undefined;
  for (let tries = 0; tries < TRIES && (best === undefined || best.stolen > MOST_STOLEN); tries += 1) {
    const before = readProcessors();
    const turn = await tryTurn(contestant, options);
    const stolen = stolenRatio(before, readProcessors());
    if (best === undefined || stolen < best.stolen) best = { turn, stolen };
  }
  if (best === undefined)
    throw new RangeError('Cannot take a turn: number of tries is 0, expected at least 1');
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
