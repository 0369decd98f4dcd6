/**
 * This file finds the spatial frame of a segment: how many rows of each tensor stand for one row of the reference
 * map. The reference is the largest input of the segment.
 *
 * 1. Classify every node. A barrier ends the search, and there is no frame.
 * 2. Walk the rules from the reference in both directions. Each tensor that is reached gets a rational scale per axis.
 * 3. The total stride is the least number of reference rows that is a whole number of rows in every tensor.
 *
 * Tensors that aren't reached, such as a gate and its operators, have no space in this frame. Every tile gets and
 * computes them whole.
 */

import type { AxisRule, Boundary, Graph, Node, NodeRange, SpatialRule } from '../graph/index.js';
import { boundaryOf, elementAt, knownShape, localityOf, tensorAt, tensorsWritten } from '../graph/index.js';

export type Axis = 'rows' | 'cols';

/** Rows of a tensor per row of the reference map, in lowest terms. */
export interface Scale {
  readonly numerator: number;
  readonly denominator: number;
}

/** One operator's dependence of all its outputs on one spatial input. */
export interface Dependence {
  readonly input: number;
  readonly rule: SpatialRule;
}

/** A node with space, as far as geometry needs it. */
export interface SpatialNode {
  readonly outputs: readonly number[];
  readonly dependences: readonly Dependence[];
}

/** The spatial frame of a segment. */
export interface Space {
  readonly boundary: Boundary;
  /** Tensor index of the map to which all scales refer. */
  readonly reference: number;
  /** Scales by tensor index. Tensors without space are absent. */
  readonly scales: ReadonlyMap<number, Readonly<Record<Axis, Scale>>>;
  /** Nodes with space, in order. */
  readonly nodes: readonly SpatialNode[];
  /** Rows and columns of the reference map in whose multiples tiles are aligned. */
  readonly totalStride: Readonly<Record<Axis, number>>;
}

export type SpaceResult =
  | { readonly kind: 'space'; readonly space: Space }
  | { readonly kind: 'barrier'; readonly reason: string };

/** Returns the rows or columns of a tensor. A tensor of lower rank is one row and one column. */
export function sizeAlong(graph: Graph, tensor: number, axis: Axis): number {
  return knownShape(tensorAt(graph, tensor))[axis === 'rows' ? 2 : 3] ?? 1;
}

/** Returns the frame of nodes [from, to), or why they can't be tiled together. */
export function spaceOf(graph: Graph, range: NodeRange): SpaceResult {
  const boundary = boundaryOf(graph, range);
  const nodes: SpatialNode[] = [];
  for (const node of graph.nodes.slice(range.from, range.to)) {
    const locality = localityOf(graph, node);
    if (locality.kind === 'barrier') return { kind: 'barrier', reason: `${node.name}: ${locality.reason}` };
    nodes.push({ outputs: tensorsWritten(node), dependences: dependencesOf(node, locality.inputs) });
  }
  const reference = largestMap(graph, boundary.inputs);
  if (reference === undefined) return { kind: 'barrier', reason: 'no input is a map' };
  const scales = spreadScales(nodes, reference);
  if (scales === undefined) return { kind: 'barrier', reason: 'branches scale the map differently' };
  const off = tensorOffFrame(graph, scales);
  if (off !== undefined) return { kind: 'barrier', reason: off };
  const spatial = nodes.filter(({ outputs }) => outputs.some((index) => scales.has(index)));
  return {
    kind: 'space',
    space: { boundary, reference, scales, nodes: spatial, totalStride: totalStrideOf(scales) },
  };
}

function dependencesOf(node: Node, rules: readonly (SpatialRule | null)[]): readonly Dependence[] {
  return rules.flatMap((rule, at) => {
    if (rule === null) return [];
    const input = elementAt(node.inputs, at);
    return input < 0 ? [] : [{ input, rule }];
  });
}

function largestMap(graph: Graph, inputs: readonly number[]): number | undefined {
  const maps = inputs.filter((index) => tensorAt(graph, index).shape?.length === 4);
  const area = (index: number) => sizeAlong(graph, index, 'rows') * sizeAlong(graph, index, 'cols');
  return maps.reduce<number | undefined>(
    (best, index) => (best === undefined || area(index) > area(best) ? index : best),
    undefined,
  );
}

type Scales = Map<number, Readonly<Record<Axis, Scale>>>;

const UNIT: Scale = { numerator: 1, denominator: 1 };

/** Goes over the nodes until no scale is new. @returns undefined if two paths disagree. */
function spreadScales(nodes: readonly SpatialNode[], reference: number): Scales | undefined {
  const scales: Scales = new Map([[reference, { rows: UNIT, cols: UNIT }]]);
  let grown = -1;
  while (grown !== scales.size) {
    grown = scales.size;
    for (const node of nodes) {
      if (!spreadNode(scales, node)) return undefined;
    }
  }
  return scales;
}

/** Carries scales over one node in both directions. @returns false if they disagree with known ones. */
function spreadNode(scales: Scales, { outputs, dependences }: SpatialNode): boolean {
  let ok = true;
  const set = (index: number, scale: Readonly<Record<Axis, Scale>>) => {
    const known = scales.get(index);
    if (known === undefined) scales.set(index, scale);
    else ok &&= isSame(known.rows, scale.rows) && isSame(known.cols, scale.cols);
  };
  for (const { input, rule } of dependences) {
    const before = scales.get(input);
    if (before === undefined) continue;
    const after = { rows: advance(before.rows, rule.rows), cols: advance(before.cols, rule.cols) };
    for (const output of outputs) set(output, after);
  }
  const after = outputs.map((index) => scales.get(index)).find((scale) => scale !== undefined);
  if (after === undefined) return ok;
  for (const { input, rule } of dependences) {
    set(input, { rows: retreat(after.rows, rule.rows), cols: retreat(after.cols, rule.cols) });
  }
  for (const output of outputs) set(output, after);
  return ok;
}

function advance({ numerator, denominator }: Scale, { up, stride }: AxisRule): Scale {
  return reduced(numerator * up, denominator * stride);
}

function retreat({ numerator, denominator }: Scale, { up, stride }: AxisRule): Scale {
  return reduced(numerator * stride, denominator * up);
}

function isSame(a: Scale, b: Scale): boolean {
  return a.numerator === b.numerator && a.denominator === b.denominator;
}

function reduced(numerator: number, denominator: number): Scale {
  const divisor = greatestDivisor(numerator, denominator);
  return { numerator: numerator / divisor, denominator: denominator / divisor };
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** Names a tensor with a scale that isn't a map. The frame is laid over dimensions 2 and 3, which it lacks. */
function tensorOffFrame(graph: Graph, scales: Scales): string | undefined {
  const off = [...scales.keys()]
    .map((index) => tensorAt(graph, index))
    .find(({ shape }) => shape?.length !== 4);
  return off === undefined ? undefined : `"${off.name}" isn't a map`;
}

function totalStrideOf(scales: Scales): Readonly<Record<Axis, number>> {
  const along = (axis: Axis) =>
    [...scales.values()].reduce((stride, scale) => leastMultiple(stride, scale[axis].denominator), 1);
  return { rows: along('rows'), cols: along('cols') };
}

function leastMultiple(a: number, b: number): number {
  return (a / greatestDivisor(a, b)) * b;
}
