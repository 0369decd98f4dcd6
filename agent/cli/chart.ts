/** Draws minimal SVG charts: panels side by side, each with points and lines over two logarithmic axes. */

import { elementAt } from '../../shared/graph/index.js';

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Text shown while the pointer rests on the point. By default the name of its series. */
  readonly label?: string;
  /** Whether a run ended here. The point is drawn as a cross then. */
  readonly failed?: boolean;
}

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
  /** Whether lines join the points, in their order. */
  readonly joined: boolean;
}

export interface Tick {
  readonly at: number;
  readonly text: string;
}

export interface Panel {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  /** Ticks of the x axis. By default powers of two. */
  readonly xTicks?: readonly Tick[];
}

const [WIDTH, HEIGHT, COLUMNS] = [430, 330, 2];
const MARGIN = { left: 52, right: 14, top: 30, bottom: 42 };
const COLORS = ['#666666', '#d55e00', '#0072b2', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];
const LEGEND_LINE = 16;

/**
 * An SVG of all panels. Axes are logarithmic, because memory and latency are compared by ratios. Series of
 * one name share a colour.
 */
export function drawChart(panels: readonly Panel[]): string {
  const names = [...new Set(panels.flatMap(({ series }) => series.map(({ name }) => name)))];
  const columns = Math.min(COLUMNS, panels.length);
  const rows = Math.ceil(panels.length / columns);
  const legend = names.map(
    (name, at) =>
      `<circle cx="${MARGIN.left}" cy="${rows * HEIGHT + at * LEGEND_LINE}" r="4" fill="${colorOf(names, name)}"/>` +
      text({ x: MARGIN.left + 10, y: rows * HEIGHT + at * LEGEND_LINE + 4 }, name),
  );
  const drawn = panels.map((panel, at) => {
    const [x, y] = [(at % columns) * WIDTH, Math.floor(at / columns) * HEIGHT];
    return `<g transform="translate(${x} ${y})">${drawPanel(panel, names)}</g>`;
  });
  const size = { width: columns * WIDTH, height: rows * HEIGHT + names.length * LEGEND_LINE + 6 };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" font-family="sans-serif" font-size="11">`,
    '<rect width="100%" height="100%" fill="white"/>',
    ...drawn,
    ...legend,
    '</svg>\n',
  ].join('\n');
}

interface Axes {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
}

function drawPanel(panel: Panel, names: readonly string[]): string {
  const points = panel.series.flatMap((series) => series.points);
  const xTicks = panel.xTicks ?? ticksOf(points.map(({ x }) => x));
  const yTicks = ticksOf(points.map(({ y }) => y));
  const axes: Axes = {
    x: scale(xTicks, { from: MARGIN.left, to: WIDTH - MARGIN.right }),
    y: scale(yTicks, { from: HEIGHT - MARGIN.bottom, to: MARGIN.top }),
  };
  return [
    `<text x="${WIDTH / 2}" y="16" text-anchor="middle" font-weight="bold">${escaped(panel.title)}</text>`,
    ...xTicks.map(({ at, text: label }) => verticalLine(axes.x(at), label)),
    ...yTicks.map(({ at, text: label }) => horizontalLine(axes.y(at), label)),
    text({ x: WIDTH / 2, y: HEIGHT - 8 }, panel.xLabel, 'middle'),
    `<g transform="translate(12 ${HEIGHT / 2}) rotate(-90)">${text({ x: 0, y: 0 }, panel.yLabel, 'middle')}</g>`,
    ...panel.series.map((series) => drawSeries(series, axes, colorOf(names, series.name))),
  ].join('\n');
}

function drawSeries({ name, points, joined }: Series, { x, y }: Axes, color: string): string {
  const path = points.map((point) => `${round(x(point.x))},${round(y(point.y))}`).join(' ');
  const line = joined ? `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="1.5"/>` : '';
  const marks = points.map(({ label = name, failed = false, ...point }) => {
    const [cx, cy] = [round(x(point.x)), round(y(point.y))];
    const title = `<title>${escaped(label)}</title>`;
    if (!failed) return `<circle cx="${cx}" cy="${cy}" r="4" fill="${color}">${title}</circle>`;
    const cross = `M${cx - 5} ${cy - 5}l10 10m0 -10l-10 10`;
    return `<path d="${cross}" stroke="${color}" stroke-width="2.5">${title}</path>`;
  });
  return [line, ...marks].join('');
}

/** Powers of two that enclose all values. */
function ticksOf(values: readonly number[]): readonly Tick[] {
  const positive = values.filter((value) => value > 0 && Number.isFinite(value));
  const [least, most] = [Math.min(...positive), Math.max(...positive)];
  if (positive.length === 0) return [1, 2].map((at) => ({ at, text: String(at) }));
  const first = Math.floor(Math.log2(least));
  const count = Math.max(2, Math.ceil(Math.log2(most)) - first + 1);
  return Array.from({ length: count }, (_, at) => 2 ** (first + at)).map((at) => ({ at, text: String(at) }));
}

/** A logarithmic scale from the least tick to the largest. */
function scale(
  ticks: readonly Tick[],
  { from, to }: { from: number; to: number },
): (value: number) => number {
  const logs = ticks.map(({ at }) => Math.log2(at));
  const [least, most] = [Math.min(...logs), Math.max(...logs)];
  return (value) => from + ((Math.log2(value) - least) / (most - least || 1)) * (to - from);
}

function verticalLine(x: number, label: string): string {
  const [top, bottom] = [MARGIN.top, HEIGHT - MARGIN.bottom];
  return gridLine({ x, y: top }, { x, y: bottom }) + text({ x, y: bottom + 14 }, label, 'middle');
}

function horizontalLine(y: number, label: string): string {
  const [left, right] = [MARGIN.left, WIDTH - MARGIN.right];
  return gridLine({ x: left, y }, { x: right, y }) + text({ x: left - 6, y: y + 4 }, label, 'end');
}

interface Place {
  readonly x: number;
  readonly y: number;
}

function gridLine(from: Place, to: Place): string {
  const [x1, x2, y1, y2] = [from.x, to.x, from.y, to.y].map(round);
  return `<line x1="${x1}" x2="${x2}" y1="${y1}" y2="${y2}" stroke="#ddd"/>`;
}

function text({ x, y }: Place, content: string, anchor = 'start'): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped(content)}</text>`;
}

function colorOf(names: readonly string[], name: string): string {
  return elementAt(COLORS, names.indexOf(name) % COLORS.length);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(content: string): string {
  return content.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
