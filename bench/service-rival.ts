/** OpenCV in C++ on a board of a given size, with as many frames a second as the service gets. */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { printLine } from '../agent/cli/print.js';
import { present } from '../shared/graph/index.js';
import type { MemoryGroup } from './cgroup.js';
import { evictFiles } from './cgroup-faults.js';
import { DEADLINE_MS } from './contestant.js';
import type { BenchNetwork } from './networks.js';
import { SEED } from './networks.js';
import type { ServiceTurn } from './service-turn.js';
import { FIRST_ANSWER_MS, onBoard } from './service-turn.js';
import type { ProgramSpec } from './stock-client.js';
import { LineProgram } from './stock-client.js';
import { writeDarknetFiles } from './stock-opencv.js';

const SOURCE = fileURLToPath(new URL('../../bench/stock-opencv.cpp', import.meta.url));
const LIBRARIES = ['-I/usr/include/opencv4', '-lopencv_dnn', '-lopencv_core'];

const NAME = 'OpenCV';

/** Number of threads, the same as the service may use. */
const THREADS = availableParallelism();

export interface Rival {
  readonly folder: string;
  readonly program: ProgramSpec;
}

/** Builds the program and writes the network's files. Prints a line if OpenCV's headers aren't installed. */
export async function prepareRival(network: BenchNetwork, folder: string): Promise<Rival | undefined> {
  await mkdir(folder, { recursive: true });
  const command = join(folder, 'opencv');
  try {
    await promisify(execFile)('g++', ['-O2', '-o', command, SOURCE, ...LIBRARIES]);
  } catch {
    printLine("OpenCV is left out: it can't be compiled (on Debian: apt install g++ libopencv-dnn-dev)");
    return undefined;
  }
  const spec = present(network.darknet, `Darknet text of ${network.name}`);
  const { config, weights, size } = await writeDarknetFiles(spec, { folder, seed: SEED });
  return { folder, program: { command, args: [config, weights, String(size), String(THREADS)], env: {} } };
}

interface RivalOptions {
  readonly limitBytes: number;
  readonly fps: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** Runs frames until the time is over. A program that is killed stays down. */
export async function takeRivalTurn(
  { folder, program }: Rival,
  { limitBytes, ...options }: RivalOptions,
): Promise<ServiceTurn> {
  options.signal.throwIfAborted();
  return onBoard(limitBytes, async (group) => {
    await evictFiles(folder);
    const { frames, end } = await runFrames(joining(program, group), options);
    const kills = group.oomKills();
    const firstMs = frames[0] === undefined ? {} : { [NAME]: frames[0].atMs };
    const isLate = (frames[0]?.atMs ?? Number.POSITIVE_INFINITY) >= FIRST_ANSWER_MS;
    const late = isLate ? `no answer within ${FIRST_ANSWER_MS / 1000} s` : undefined;
    const failure = kills > 0 ? `${kills} OOM kills` : (end ?? late);
    return { firstMs, frames, kills, peakBytes: group.peakBytes(), end, failure };
  });
}

/** The program as one that joins a group before it starts. */
function joining({ command, args, env }: ProgramSpec, group: MemoryGroup): ProgramSpec {
  const script = `echo $$ > '${group.processesFile}' && exec "$0" "$@"`;
  return { command: '/bin/sh', args: ['-c', script, command, ...args], env };
}

/** @returns the frames, and why the program ended before its time. */
async function runFrames(
  spec: ProgramSpec,
  { fps, seconds, signal }: Omit<RivalOptions, 'limitBytes'>,
): Promise<{ readonly frames: ServiceTurn['frames']; readonly end: string | undefined }> {
  const frames: ServiceTurn['frames'][number][] = [];
  const startMs = performance.now();
  const elapsedMs = () => performance.now() - startMs;
  let program: LineProgram | undefined;
  let end: string | undefined;
  try {
    program = await LineProgram.start(spec);
    await program.ask({ ask: 'load' }, DEADLINE_MS);
    while (elapsedMs() < seconds * 1000 && !signal.aborted) {
      const { latencyMs = 0 } = await program.ask({ ask: 'run' }, DEADLINE_MS);
      frames.push({ model: NAME, latencyMs, plan: '', atMs: elapsedMs() });
      await sleep(Math.max(0, 1000 / fps - latencyMs));
    }
  } catch (error) {
    end = error instanceof Error ? error.message : String(error);
  }
  await program?.stop();
  return { frames, end };
}
