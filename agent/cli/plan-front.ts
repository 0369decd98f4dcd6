/** `mafat plan MODEL --front`: lists the trade-offs between memory and speed as a table, JSON or a chart. */

import { writeFile } from 'node:fs/promises';
import type { DeviceProfile } from '../../shared/predict/index.js';
import type { FrontPoint, WeightsPolicy } from '../../shared/search/index.js';
import { searchFront } from '../../shared/search/index.js';
import type { Network } from '../planning/open-model.js';
import type { SettingsChoice } from '../planning/plan-network.js';
import { copying, variantsOf } from '../planning/plan-network.js';
import { drawChart } from './chart.js';
import { formatBytes, formatMs, formatTable, printJson, printLine } from './print.js';

/** The fastest plan for each budget, with all threads that may be used: fewer are slower and save no memory. */
export function findFront(
  { graph, mapsWeights }: Network,
  { choice, ...options }: FrontOptions,
): readonly FrontPoint[] {
  const variants = variantsOf(choice);
  const most = Math.max(...variants.map(({ threads }) => threads));
  return searchFront(graph, {
    ...copying(mapsWeights),
    ...options,
    variants: variants.filter(({ threads }) => threads === most),
  }).points;
}

export interface FrontOptions {
  readonly choice: SettingsChoice;
  readonly weights: WeightsPolicy;
  readonly profile?: DeviceProfile;
}

export interface FrontReport {
  readonly json?: boolean;
  /** Path of the chart. */
  readonly svg?: string;
}

export async function reportFront(
  { name }: Network,
  points: readonly FrontPoint[],
  { json = false, svg }: FrontReport,
): Promise<void> {
  if (svg !== undefined) await writeFile(svg, drawFront(name, points));
  if (json) printJson({ model: name, front: points.map(pointJson) });
  else printFront(points);
}

function pointJson({ needBytes, plan: { notation, settings, predicted } }: FrontPoint) {
  return { budgetBytes: needBytes, notation, settings, predicted };
}

function printFront(points: readonly FrontPoint[]): void {
  const header = ['budget', 'working', 'weights', 'latency', 'level', 'threads', 'plan'];
  const rows = points.map(({ needBytes, plan: { notation, settings, predicted } }) => [
    formatBytes(needBytes),
    formatBytes(predicted.workingBytes),
    formatBytes(predicted.weightsBytes),
    formatMs(predicted.latencyMs),
    settings.level,
    String(settings.threads),
    notation,
  ]);
  printLine(formatTable(header, rows));
}

function drawFront(name: string, points: readonly FrontPoint[]): string {
  const series = {
    name: 'predicted',
    joined: true,
    points: points.map(({ needBytes, plan }) => ({
      x: needBytes / 2 ** 20,
      y: plan.predicted.latencyMs,
      label: `${plan.notation}: ${formatBytes(needBytes)}, ${formatMs(plan.predicted.latencyMs)}`,
    })),
  };
  return drawChart([{ title: name, xLabel: 'budget, MB', yLabel: 'latency, ms', series: [series] }]);
}
