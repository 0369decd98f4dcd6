/** Prepares a network of the benches: stores it, opens it and finds the contestants without plans. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandContext } from '../agent/cli/context.js';
import { printLine } from '../agent/cli/print.js';
import { ModelStore } from '../agent/models/model-store.js';
import type { Network } from '../agent/planning/open-model.js';
import { openModel } from '../agent/planning/open-model.js';
import type { Contestant } from './contestant.js';
import type { BenchNetwork } from './networks.js';
import { SEED } from './networks.js';
import { openCvContestant, STOCK_SETTINGS, stockContestant, storedModel } from './stock-contestants.js';
import type { OpenCvFiles } from './stock-opencv.js';
import { findOpenCv, openCvProgram, writeDarknetFiles } from './stock-opencv.js';

export interface PreparedNetwork {
  readonly network: Network;
  /** Stock ONNX Runtime in all its settings, and OpenCV if it can run the network. */
  readonly stock: (threads: number) => readonly Contestant[];
  /** Removes the files. Models can be large, so each is removed before the next is stored. */
  readonly remove: () => Promise<void>;
}

interface Place {
  readonly context: CommandContext;
  readonly folder: string;
}

export async function prepareNetwork(
  bench: BenchNetwork,
  { context, folder }: Place,
): Promise<PreparedNetwork> {
  context.progress.show(`${bench.name}: storing`);
  const store = new ModelStore(join(folder, 'models'));
  const { executor } = context;
  await bench.save({ store, executor, name: bench.name, force: true });
  const network = await openModel(store, bench.name, { executor });
  await context.releaseExecutor();
  const darknetFolder = join(folder, 'darknet');
  const openCv = await prepareOpenCv(bench, darknetFolder);
  const stock = (threads: number) => [
    ...STOCK_SETTINGS.map((setting) => stockContestant(storedModel(network), setting, threads)),
    ...(openCv === undefined ? [] : [openCvContestant(openCvProgram(openCv, threads))]),
  ];
  const remove = async () => {
    await store.remove(bench.name);
    await rm(darknetFolder, { recursive: true, force: true });
  };
  return { network, stock, remove };
}

/** Files for OpenCV, which reads only Darknet networks here. Prints a line if OpenCV isn't installed. */
async function prepareOpenCv(
  { name, darknet }: BenchNetwork,
  folder: string,
): Promise<OpenCvFiles | undefined> {
  if (darknet === undefined) return undefined;
  if ((await findOpenCv()) === undefined) {
    printLine(`${name}: OpenCV is left out, since Debian's python3-opencv isn't installed`);
    return undefined;
  }
  await mkdir(folder, { recursive: true });
  return writeDarknetFiles(darknet, { folder, seed: SEED });
}
