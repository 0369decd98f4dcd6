/**
 * Measures networks from ONNX files as a user would have them: what an import makes of each, and what it needs beside stock
 * ONNX Runtime on the same file. docs/models.md has the table.
 *
 *     node dist/bench/models.js FILE.onnx|FOLDER... [--threads 2] [--rounds 3] [--runs 2] [--input WxH] [--json FILE]
 *
 * - Stock runs the file itself, at the level `all`, with its defaults. Where a file has inputs beside the image, it runs the
 *   imported model.
 * - `whole`, `half` and `smallest` are the plans without a budget, within half of stock's peak, and of least memory. All take
 *   turns, and figures are medians. Working memory is the peak of private memory above idle; weights stay mapped in all.
 * - A file that can't be imported stands in the table with what the import said.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { CommandContext } from '../agent/cli/context.js';
import { withContext } from '../agent/cli/context.js';
import { parseCount, parseSize, parseThreads } from '../agent/cli/parse-options.js';
import { formatTable, printLine } from '../agent/cli/print.js';
import { importOnnx } from '../agent/models/import-onnx.js';
import { ModelStore } from '../agent/models/model-store.js';
import type { Network } from '../agent/planning/open-model.js';
import { openModel } from '../agent/planning/open-model.js';
import { planNetwork } from '../agent/planning/plan-network.js';
import { elementAt, tensorAt } from '../shared/graph/index.js';
import { parseOnnxModel } from '../shared/onnx/index.js';
import type { Plan } from '../shared/search/index.js';
import { BudgetError } from '../shared/search/index.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, optionOf } from './bench-options.js';
import type { Contestant } from './contestant.js';
import { compete } from './latency-memory-compete.js';
import type { Row } from './latency-memory-report.js';
import { planContestant } from './plan-contestants.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';
import type { StockModel } from './stock-contestants.js';
import { stockContestant, storedModel } from './stock-contestants.js';

interface Flags extends OutputFlags {
  readonly threads: number;
  readonly rounds: number;
  readonly runs: number;
  readonly input?: { readonly width: number; readonly height: number };
}

interface Tried {
  readonly file: string;
  readonly exporter: string;
  readonly input: string;
  readonly decoder: string;
  readonly rows: readonly (Pick<Row, 'workingBytes' | 'medianMs' | 'memoryRatio' | 'latencyRatio'> & {
    readonly contestant: string;
  })[];
  /** Why it can't be imported or run. */
  readonly refused?: string;
}

function readFlags(): { readonly flags: Flags; readonly files: readonly string[] } {
  const command = benchCommand('models', 'Measures networks from ONNX files beside stock ONNX Runtime.')
    .argument('<paths...>', 'ONNX files, and folders of them')
    .option('--input <size>', 'size of networks whose size is free', parseSize)
    .addOption(
      optionOf('--threads <number>', 'threads of one operator', { parse: parseThreads, fallback: '2' }),
    )
    .addOption(
      optionOf('--rounds <number>', 'turns of each contestant', { parse: parseCount, fallback: '3' }),
    )
    .addOption(optionOf('--runs <number>', 'timed runs in a turn', { parse: parseCount, fallback: '2' }))
    .addOption(jsonOption())
    .parse();
  return { flags: command.opts<Flags>(), files: command.args.flatMap(filesIn) };
}

function filesIn(path: string): readonly string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path, { recursive: true }) as readonly string[];
  return names
    .filter((name) => name.endsWith('.onnx'))
    .sort()
    .map((name) => join(path, name));
}

interface Place {
  readonly context: CommandContext;
  readonly store: ModelStore;
}

const NAME = 'tried';

async function tryFile(file: string, flags: Flags, { context, store }: Place): Promise<Tried> {
  const { graph, metadata } = parseOnnxModel(readFileSync(file));
  const facts = { file: basename(file, '.onnx'), exporter: metadata.producer };
  try {
    const { executor } = context;
    const { shape } = tensorAt(graph, elementAt(graph.inputs, 0));
    const size = shape?.slice(1).some((dim) => dim < 0) ? flags.input : undefined;
    const told = size === undefined ? {} : { input: { size } };
    const manifest = await importOnnx(file, { store, executor, name: NAME, force: true, ...told });
    const network = await openModel(store, NAME, { executor });
    await context.releaseExecutor();
    const { width, height, channels, dtype } = manifest.input;
    const seen = { input: `${width}x${height}x${channels} ${dtype}`, decoder: manifest.decoder.kind };
    const rows = await measure(network, stockOf(network, file), { flags, context, title: facts.file });
    return { ...facts, ...seen, rows };
  } catch (error) {
    context.signal.throwIfAborted();
    const refused = error instanceof Error ? error.message : String(error);
    return { ...facts, input: '', decoder: '', rows: [], refused };
  }
}

interface MeasureOptions {
  readonly flags: Flags;
  readonly context: CommandContext;
  readonly title: string;
}

/** Stock, the fastest plan, the fastest one within half of stock's peak, and the smallest one. */
async function measure(
  network: Network,
  model: StockModel,
  { flags, context, title }: MeasureOptions,
): Promise<Tried['rows']> {
  const { threads } = flags;
  const stock = stockContestant(model, { level: 'all', memory: 'arena' }, threads);
  const [alone] = await compete([stock], { rounds: 1, runs: 1, title, context });
  const half = (alone?.workingBytes ?? 0) / 2;
  const wishes = { fastest: Number.POSITIVE_INFINITY, half, smallest: 1 };
  const plans = Object.entries(wishes).flatMap(([wish, budget]): readonly Contestant[] => {
    const plan = planWithin(network, budget, threads);
    if (wish === 'half' && plan.predicted.workingBytes > budget) return [];
    const contestant = planContestant(network, { party: 'ours', plan });
    return [{ ...contestant, name: `${wish}: ${contestant.name}` }];
  });
  return (await compete([stock, ...plans], { ...flags, title, context })).map(
    ({ contestant, workingBytes, medianMs, memoryRatio, latencyRatio }) => ({
      ...{ contestant, workingBytes, medianMs, memoryRatio, latencyRatio },
    }),
  );
}

/** The fastest plan within a budget, or the smallest one. */
function planWithin(network: Network, budgetBytes: number, threads: number): Plan {
  try {
    return planNetwork(network, { strategy: 'optimal', budgetBytes, threads, weights: 'evictable' });
  } catch (error) {
    if (error instanceof BudgetError) return error.smallest;
    throw error;
  }
}

/** The file itself, unless it has inputs beside the image. */
function stockOf(network: Network, file: string): StockModel {
  const stored = storedModel(network);
  if (network.manifest.fixedInputs !== undefined) return stored;
  return { ...stored, modelFile: file };
}

const HEADER = [
  'network',
  'exporter',
  'input',
  'decoder',
  'stock',
  'fastest',
  'half',
  'smallest',
  'plan of least memory',
];

function cellsOf({ file, exporter, input, decoder, rows, refused }: Tried): readonly string[] {
  if (refused !== undefined) return [file, exporter, refused, '', '', '', '', '', ''];
  const cell = (wish: string) => {
    const row = rows.find(({ contestant }) => contestant.startsWith(wish));
    if (row === undefined) return '-';
    const ratio =
      wish === 'stock' ? '' : ` (1/${(1 / row.memoryRatio).toFixed(1)}, ${row.latencyRatio.toFixed(2)} x)`;
    return `${(row.workingBytes / 2 ** 20).toFixed(1)} MB, ${row.medianMs.toFixed(0)} ms${ratio}`;
  };
  const smallest = rows.find(({ contestant }) => contestant.startsWith('smallest'))?.contestant ?? '';
  const plan = smallest.replace('smallest: ', '');
  return [
    file,
    exporter,
    input,
    decoder,
    cell('stock'),
    cell('fastest'),
    cell('half'),
    cell('smallest'),
    plan,
  ];
}

async function main(): Promise<void> {
  const { flags, files } = readFlags();
  await withBenchFolder(async (folder) => {
    const tried = await withContext('models', async (context) => {
      const store = new ModelStore(join(folder, 'models'));
      const all: Tried[] = [];
      for (const file of files) all.push(await tryFile(file, flags, { context, store }));
      return all;
    });
    printLine(formatTable(HEADER, tried.map(cellsOf)));
    await writeResults(flags, { figures: tried, panels: [] });
  });
}

await runBench(main);
