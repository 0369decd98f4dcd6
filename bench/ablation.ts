/**
 * Says what each knob of the search is worth (shared/search/knobs.ts). One knob at a time is turned, and the front is
 * searched and compared with the front of the knobs in use, by predicted latency.
 *
 *     node dist/bench/ablation.js [--network yolov2] [--onnx unet.onnx,int8.onnx] [--json FILE]
 *
 * - Loss is the largest ratio of latencies at one budget that both fronts meet, less 1. Gain is the largest the other
 *   way. Budgets are those at which either front changes.
 * - Growth is that of the smallest plan.
 * - Time is the processor time of all searches together, as a ratio.
 *
 * Networks are searched with blocked kernels and resident weights, and with plain kernels and evictable weights.
 */
import { formatTable, printLine } from '../agent/cli/print.js';
import type { Graph } from '../shared/graph/index.js';
import type { FrontOptions, FrontPoint } from '../shared/search/index.js';
import { KNOBS, pickFromFront, searchFront } from '../shared/search/index.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, onnxOption } from './bench-options.js';
import { withOnnxGraphs } from './onnx-graphs.js';
import { runBench, writeResults } from './run-bench.js';
import { SEARCHED } from './searched-graphs.js';

/** Turns of a knob, each with what it does. */
const TURNS = {
  'no stream1': { streamRows: [2, 4, 8, 16] },
  'no stream16': { streamRows: [1, 2, 4, 8] },
  stream32: { streamRows: [1, 2, 4, 8, 16, 32] },
  'stream1, 4, 16': { streamRows: [1, 4, 16] },
  'no tiles': { gridSides: [1] },
  'grids to 3': { gridSides: [1, 2, 3] },
  'grids 1 to 5': { gridSides: [1, 2, 3, 4, 5] },
  'grids to 8': { gridSides: [1, 2, 3, 5, 8] },
  '24 nodes': { maxNodes: 24 },
  '80 nodes': { maxNodes: 80 },
  'no peaks': { peakRatio: Number.POSITIVE_INFINITY },
  'peaks 2': { peakRatio: 2 },
  'chains 1.2': { chainRatio: 1.2 },
  'chains 1.03': { chainRatio: 1.03 },
  'labels 1.03': { labelRatio: 1.03 },
  'labels 1.003': { labelRatio: 1.003 },
  'labels 1.0001': { labelRatio: 1.0001 },
  'worth 1 %': { worth: 0.01 },
  'work 10,000': { workPerNode: 10_000 },
  'work 500,000': { workPerNode: 500_000 },
} as const satisfies Record<string, Partial<typeof KNOBS>>;

type Turn = keyof typeof TURNS;

const SETTINGS: readonly Omit<FrontOptions, 'knobs'>[] = [
  { variants: [{ level: 'all', allocator: 'jemalloc', threads: 2 }], weights: 'resident' },
  { variants: [{ level: 'extended', allocator: 'glibc', threads: 1 }], weights: 'evictable' },
];

interface Flags extends OutputFlags {
  readonly network?: string;
  readonly onnx: readonly string[];
}

interface Searched {
  readonly points: readonly FrontPoint[];
  readonly cpuMs: number;
}

/** What a turn did to one front. */
interface Change {
  readonly turn: Turn;
  readonly network: string;
  readonly loss: AtBudget;
  readonly gain: AtBudget;
  readonly growth: number;
  readonly cpuMs: number;
  /** Processor time with the knobs in use. */
  readonly usualCpuMs: number;
}

interface AtBudget {
  readonly ratio: number;
  readonly budgetBytes: number;
}

function readFlags(): Flags {
  return benchCommand('ablation', 'Says what each knob of the search is worth.')
    .option('--network <text>', 'networks whose name contains this text (default: all)')
    .addOption(onnxOption())
    .addOption(jsonOption())
    .parse()
    .opts<Flags>();
}

function search(graph: Graph, options: FrontOptions): Searched {
  // Facts are kept by graph, so each search has a fresh one.
  const fresh = { ...graph, nodes: graph.nodes.map((node) => ({ ...node })) };
  const start = process.cpuUsage();
  const { points } = searchFront(fresh, options);
  const { user, system } = process.cpuUsage(start);
  return { points, cpuMs: (user + system) / 1000 };
}

/** Turns each knob for one network. */
function ablate(network: string, graph: Graph): readonly Change[] {
  return SETTINGS.flatMap((settings) => {
    const usual = search(graph, settings);
    return Object.entries(TURNS).map(([turn, knobs]) => {
      const turned = search(graph, { ...settings, knobs: { ...KNOBS, ...knobs } });
      const { weights } = settings;
      return {
        turn: turn as Turn,
        network: `${network}, ${weights}`,
        loss: worstAgainst(turned.points, usual.points),
        gain: worstAgainst(usual.points, turned.points),
        growth: leastOf(turned.points) / leastOf(usual.points) - 1,
        cpuMs: turned.cpuMs,
        usualCpuMs: usual.cpuMs,
      };
    });
  });
}

function leastOf(points: readonly FrontPoint[]): number {
  return points[0]?.needBytes ?? Number.NaN;
}

/** Finds the budget at which a front is slowest against another, among those that both meet. */
function worstAgainst(points: readonly FrontPoint[], others: readonly FrontPoint[]): AtBudget {
  const latencyAt = (front: readonly FrontPoint[], budgetBytes: number) =>
    pickFromFront(front, budgetBytes)?.latencyMs ?? Number.NaN;
  return [...points, ...others]
    .map(({ needBytes: budgetBytes }) => ({
      ratio: latencyAt(points, budgetBytes) / latencyAt(others, budgetBytes) - 1,
      budgetBytes,
    }))
    .reduce((worst, one) => (one.ratio > worst.ratio ? one : worst), { ratio: 0, budgetBytes: 0 });
}

function rowOf(turn: string, changes: readonly Change[]): readonly string[] {
  const most = (measure: (change: Change) => number) =>
    changes.reduce((worst, change) => (measure(change) > measure(worst) ? change : worst));
  const part = (ratio: number) => `${(100 * ratio).toFixed(1)} %`;
  const at = (change: Change, { ratio, budgetBytes }: AtBudget) =>
    ratio < 1e-3 ? '-' : `${part(ratio)}, ${change.network}, ${(budgetBytes / 2 ** 20).toFixed(1)} MB`;
  const [loss, gain] = [most((change) => change.loss.ratio), most((change) => change.gain.ratio)];
  const growth = most((change) => change.growth);
  const sum = (of: (change: Change) => number) => changes.reduce((total, change) => total + of(change), 0);
  const time = sum(({ cpuMs }) => cpuMs) / sum(({ usualCpuMs }) => usualCpuMs);
  const grown = growth.growth < 1e-3 ? '-' : `${part(growth.growth)}, ${growth.network}`;
  return [turn, at(loss, loss.loss), grown, at(gain, gain.gain), `${time.toFixed(2)} x`];
}

async function main(): Promise<void> {
  const { network = '', onnx, ...output } = readFlags();
  const changes: Change[] = [];
  for (const { name, build } of SEARCHED) if (name.includes(network)) changes.push(...ablate(name, build()));
  await withOnnxGraphs(onnx, (name, graph) => changes.push(...ablate(name, graph)));
  const rows = Object.keys(TURNS).map((turn) =>
    rowOf(
      turn,
      changes.filter((change) => change.turn === turn),
    ),
  );
  printLine(formatTable(['turn', 'largest loss', 'largest growth', 'largest gain', 'time'], rows));
  await writeResults(output, { figures: changes, panels: [] });
}

await runBench(main);
