/** Growth of a series by least squares, and how well it is known. Source: any textbook on linear regression. */

export interface Point {
  readonly hours: number;
  readonly megabytes: number;
}

export interface Slope {
  readonly perHour: number;
  /** Standard error. Samples of one block depend on each other, so that blocks count and not samples. */
  readonly error: number;
}

const BLOCKS = 20;

/** @returns undefined for fewer points than blocks. */
export function fitSlope(points: readonly Point[]): Slope | undefined {
  if (points.length < BLOCKS) return undefined;
  const blocks = Array.from({ length: BLOCKS }, (_, at) => {
    const edge = (block: number) => Math.floor((block * points.length) / BLOCKS);
    const block = points.slice(edge(at), edge(at + 1));
    return { x: mean(block.map(({ hours }) => hours)), y: mean(block.map(({ megabytes }) => megabytes)) };
  });
  const [meanX, meanY] = [mean(blocks.map(({ x }) => x)), mean(blocks.map(({ y }) => y))];
  const spread = sum(blocks.map(({ x }) => (x - meanX) ** 2));
  const perHour = sum(blocks.map(({ x, y }) => (x - meanX) * (y - meanY))) / spread;
  const residual = sum(blocks.map(({ x, y }) => (y - meanY - perHour * (x - meanX)) ** 2));
  return { perHour, error: Math.sqrt(residual / (BLOCKS - 2) / spread) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
