/** `mafat plan`: plans how to run a model, and the options that it shares with `mafat run`. */

import { Command, Option } from 'commander';
import type { Graph } from '../../shared/graph/index.js';
import { elementAt, valueFor } from '../../shared/graph/index.js';
import type { DeviceProfile, Level } from '../../shared/predict/index.js';
import { BUILT_IN_PROFILE, LEVELS } from '../../shared/predict/index.js';
import type { Plan, PlannedSegment, WeightsPolicy } from '../../shared/search/index.js';
import { describeSegments } from '../../shared/search/index.js';
import type { Segment } from '../../shared/tile/index.js';
import { NO_JEMALLOC } from '../engine/allocator.js';
import { deviceProfile } from '../planning/device-profiles.js';
import type { Network } from '../planning/open-model.js';
import { openModel } from '../planning/open-model.js';
import type { SettingsChoice } from '../planning/plan-network.js';
import { planElsewhere, planFrontOf } from '../planning/plan-network.js';
import type { FrontSummary, SearchOptions } from '../planning/search.js';
import { DEFAULT_STRATEGY, STRATEGIES } from '../planning/strategies.js';
import { withContext } from './context.js';
import {
  parseLevel,
  parseMemory,
  parseNotation,
  parseSize,
  parseThreads,
  parseWeights,
} from './parse-options.js';
import { reportFront } from './plan-front.js';
import { formatBytes, formatMacs, formatMs, formatTable, printJson, printLine } from './print.js';
import type { Progress } from './progress.js';
import { UsageError } from './usage-error.js';

export interface PlanFlags {
  readonly budget?: number;
  readonly plan?: string;
  readonly input?: { width: number; height: number };
  readonly strategy: string;
  readonly threads?: number;
  readonly level?: Level;
  readonly weights: WeightsPolicy;
  readonly json?: boolean;
  readonly front?: boolean;
  readonly svg?: string;
}

/** Adds the options from which `plan` and `run` make a plan. */
export function withPlanOptions(command: Command): Command {
  return command
    .option('--budget <bytes>', 'memory that the model may use, such as 64M (default: no limit)', parseMemory)
    .option(
      '--plan <notation>',
      'use this plan instead of searching for one, such as "5x5 | 8 | 2x2"',
      parseNotation,
    )
    .option('--input <WxH>', 'input size in pixels (default: the model’s)', parseSize)
    .addOption(
      new Option('--strategy <name>', 'search strategy')
        .choices([...STRATEGIES.keys()])
        .default(DEFAULT_STRATEGY),
    )
    .option('--threads <number>', 'threads per operator (default: chosen by the planner)', parseThreads)
    .option(
      '--level <level>',
      `ONNX Runtime’s optimisation level: ${LEVELS.join(', ')} (default: chosen by the planner)`,
      parseLevel,
    )
    .option(
      '--weights <policy>',
      'resident: the budget includes mapped weights; evictable: it does not',
      parseWeights,
      'resident',
    );
}

export function planCommand(): Command {
  return withPlanOptions(new Command('plan'))
    .description('plan how to run a model within a budget, without running it')
    .argument('<model>')
    .option('--front', 'list the trade-offs: for each budget, the fastest plan')
    .option('--svg <file>', 'with --front: also draw them as a chart')
    .option('--json', 'print as JSON')
    .action(async (name: string, flags: PlanFlags) => {
      checkFlags(flags);
      const profile = deviceProfile();
      await withContext(`planning ${name}`, async (context) => {
        const network = await openModel(context.store, name, { ...context, ...sizeOf(flags) });
        const asked = { ...flags, ...context, profile };
        const front = flags.front ? await frontByFlags(network, asked) : undefined;
        const plan = front === undefined ? await planByFlags(network, asked) : undefined;
        context.progress.stop();
        if (front !== undefined) await reportFront(network, front, flags);
        if (plan !== undefined) reportPlan(network, plan, { ...flags, profile });
      });
    });
}

function reportPlan(
  network: Network,
  plan: Plan,
  { profile, json = false }: { readonly profile: DeviceProfile | undefined; readonly json?: boolean },
): void {
  if (!json) {
    printPlan(network, plan);
    if (profile === undefined)
      printLine('latency is estimated from another machine; `mafat calibrate` measures this one');
    return;
  }
  const { source: costs } = profile ?? BUILT_IN_PROFILE;
  printJson({ model: network.name, input: inputText(network), costs, ...planJson(network.graph, plan) });
}

function checkFlags({ front = false, svg, budget, plan, strategy }: PlanFlags): void {
  if (svg !== undefined && !front)
    throw new UsageError('Cannot use --svg without --front: it draws the plans that --front lists');
  if (!front) return;
  const other = budget !== undefined ? '--budget' : plan !== undefined ? '--plan' : undefined;
  if (other !== undefined)
    throw new UsageError(`Cannot use --front and ${other} together: --front lists plans for all budgets`);
  if (strategy !== DEFAULT_STRATEGY)
    throw new UsageError(`Cannot use --front with strategy ${strategy}: expected ${DEFAULT_STRATEGY}`);
}

/** The flags of a plan, what is known of the device, and where to show progress. */
interface AskedPlan extends PlanFlags {
  /** Of this device, if it was measured. */
  readonly profile: DeviceProfile | undefined;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

function frontByFlags(network: Network, asked: AskedPlan): Promise<FrontSummary> {
  const { weights, profile } = asked;
  const known = profile === undefined ? {} : { profile };
  return planFrontOf(network, { weights, choice: choiceOf(asked), ...known }, searchOptions(network, asked));
}

function searchOptions({ name }: Network, { progress, signal }: AskedPlan): SearchOptions {
  const onProgress = (done: number, total: number) =>
    progress.show(`planning ${name}: ${Math.floor((100 * done) / total)} %`);
  return { signal, onProgress };
}

export function sizeOf({ input }: PlanFlags): { size?: { width: number; height: number } } {
  return input === undefined ? {} : { size: input };
}

export async function planByFlags(network: Network, asked: AskedPlan): Promise<Plan> {
  const { strategy, weights, budget = Number.POSITIVE_INFINITY, plan: notation, profile } = asked;
  if (notation !== undefined && asked.budget !== undefined) {
    throw new RangeError(
      'Cannot use --plan and --budget together: --plan gives the plan, --budget searches one',
    );
  }
  const given = notation === undefined ? {} : { notation };
  const known = { ...(profile === undefined ? {} : { profile }), strategy, weights };
  const request = { ...given, ...choiceOf(asked), ...known, budgetBytes: budget };
  return planElsewhere(network, request, searchOptions(network, asked));
}

function choiceOf({ threads, level }: PlanFlags): SettingsChoice {
  return {
    ...(threads === undefined ? {} : { threads }),
    ...(level === undefined ? {} : { level }),
  };
}

function inputText({ input }: Network): string {
  return `${input.width}x${input.height}`;
}

/** The JSON of a plan. `from` and `to` are the first and the last layer of a segment. */
export function planJson(graph: Graph, { notation, settings, segments, predicted }: Plan) {
  return {
    notation,
    settings,
    segments: segments.map(({ segment, prediction }) => ({
      ...layersOf(graph, segment),
      mode: describeSegments(graph, [segment]),
      workingBytes: prediction.workingBytes,
      weightsBytes: prediction.weightsBytes,
      macs: prediction.macs,
      macOverhead: prediction.macOverhead,
    })),
    predicted,
  };
}

function layersOf(graph: Graph, { from, to }: Segment): { from: number; to: number } {
  return { from: elementAt(graph.nodes, from).layer, to: elementAt(graph.nodes, to - 1).layer };
}

function printPlan({ name, graph, ...network }: Network, plan: Plan): void {
  const { workingBytes, weightsBytes, peakBytes, latencyMs } = plan.predicted;
  printLine(`${name} at ${network.input.width}x${network.input.height}: ${plan.notation}`);
  printLine(settingsText(plan));
  printLine();
  const header = ['layers', 'mode', 'halo', 'working', 'weights', 'MACs', 'overhead', 'equal to untiled'];
  printLine(
    formatTable(
      header,
      plan.segments.map((segment) => segmentRow(graph, segment)),
    ),
  );
  printLine();
  printLine(
    `predicted: working ${formatBytes(workingBytes)} + weights ${formatBytes(weightsBytes)} = peak ${formatBytes(peakBytes)}, ${formatMs(latencyMs)}`,
  );
}

export function settingsText({ settings: { level, allocator, threads } }: Plan): string {
  const lack = allocator === 'glibc' ? ` (${NO_JEMALLOC})` : '';
  return `level ${level}, ${threads} ${threads === 1 ? 'thread' : 'threads'}, allocator ${allocator}${lack}`;
}

function segmentRow(graph: Graph, { segment, prediction }: PlannedSegment): readonly string[] {
  const { from, to } = layersOf(graph, segment);
  return [
    `${from}-${to}`,
    describeSegments(graph, [segment]),
    haloText(segment),
    formatBytes(prediction.workingBytes),
    formatBytes(prediction.weightsBytes),
    formatMacs(prediction.macs),
    `${((prediction.macOverhead - 1) * 100).toFixed(1)} %`,
    prediction.bitExact ? 'bit for bit' : 'within 1e-5',
  ];
}

/** The most rows and columns of the segment's input that a tile reads beyond its even share. */
function haloText(segment: Segment): string {
  if (segment.kind !== 'tiles' && segment.kind !== 'streamed-tiles') return '0';
  const { reference } = segment.space;
  const along = (tiles: typeof segment.rowTiles) => {
    const reads = tiles.map((tile) => valueFor(tile.reads, reference));
    const size = Math.max(...reads.map(({ to }) => to));
    return Math.max(...reads.map(({ from, to }) => to - from)) - Math.round(size / tiles.length);
  };
  return `${along(segment.rowTiles)}x${along(segment.colTiles)}`;
}
