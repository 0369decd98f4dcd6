/**
 * Rewrites chains of Reshape, Transpose and Gather that only move the channels of a map, as channel shuffles are
 * exported. Such a chain becomes one Gather of channels, which is spatially local, and copies the map once.
 *
 * 1. A chain begins at a map [1, C, H, W]. Each of its tensors is a list of channels in some shape, then height and width.
 * 2. A node keeps the chain going if it leaves height and width last and whole. The list says which channels are where.
 * 3. A node of the chain that gives a map of the same height and width becomes a Gather from the chain's first map.
 *
 * Expects known shapes.
 */
import { constantNumbers, inlineConstant } from './constant-values.js';
import { compactGraph, TensorList } from './edit-graph.js';
import type { Graph, Node } from './graph.js';
import { elementCount, inputAt, intAttribute, intsAttribute, outputAt, tensorAt } from './graph.js';
import { elementAt } from './lookup.js';
import { varyingTensors } from './varying-shapes.js';

/** The channels of a tensor of a chain. */
interface Channels {
  /** The map at which the chain begins. */
  readonly map: number;
  readonly height: number;
  readonly width: number;
  /** Dimensions before height and width. */
  readonly dims: readonly number[];
  /** Channel of the map at each place, in the order of `dims`. */
  readonly order: readonly number[];
  /** Number of nodes from the map on. */
  readonly length: number;
}

/** Operators that leave all values where they are. */
const RESHAPING = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten']);

export function moveChannels(graph: Graph): Graph {
  const list = new TensorList(graph);
  const chains = new Map<number, Channels>();
  const nodes = graph.nodes.map((node) => {
    const channels = node.domain === '' ? channelsAfter(graph, node, chains) : undefined;
    if (channels === undefined) return node;
    chains.set(outputAt(node, 0), channels);
    return isMapAgain(graph, node, channels) ? gatherOf(list, node, channels) : node;
  });
  return compactGraph({ ...graph, tensors: list.tensors, nodes });
}

function channelsAfter(
  graph: Graph,
  node: Node,
  chains: ReadonlyMap<number, Channels>,
): Channels | undefined {
  const data = inputAt(node, 0);
  if (data < 0 || varyingTensors(graph).has(outputAt(node, 0))) return undefined;
  const before = chains.get(data) ?? beginOf(graph, data);
  if (before === undefined) return undefined;
  const next = { ...before, length: before.length + 1 };
  if (RESHAPING.has(node.op)) return reshaped(graph, node, next);
  if (node.op === 'Transpose') return transposed(graph, node, next);
  return node.op === 'Gather' ? gathered(graph, node, next) : undefined;
}

function beginOf(graph: Graph, map: number): Channels | undefined {
  const { shape, constant } = tensorAt(graph, map);
  const [batch, channels, height, width] = shape ?? [];
  if (shape?.length !== 4 || batch !== 1 || shape.some((size) => size < 1) || constant !== null)
    return undefined;
  if (channels === undefined || height === undefined || width === undefined) return undefined;
  const order = Array.from({ length: channels }, (_, at) => at);
  return { map, height, width, dims: [1, channels], order, length: 0 };
}

function reshaped(graph: Graph, node: Node, channels: Channels): Channels | undefined {
  const { shape } = tensorAt(graph, outputAt(node, 0));
  if (shape === null) return undefined;
  const rest = restOf(shape, channels);
  return rest < 0 ? undefined : { ...channels, dims: shape.slice(0, rest) };
}

/** First of the dimensions that are height and width, or -1 if they aren't whole. */
function restOf(shape: readonly number[], { height, width, order }: Channels): number {
  const starts = Array.from({ length: shape.length + 1 }, (_, at) => shape.length - at);
  const isRest = (at: number) =>
    elementCount(shape.slice(at)) === height * width && elementCount(shape.slice(0, at)) === order.length;
  return starts.find(isRest) ?? -1;
}

function transposed(graph: Graph, node: Node, channels: Channels): Channels | undefined {
  const rank = tensorAt(graph, inputAt(node, 0)).shape?.length ?? 0;
  const { dims, order } = channels;
  const perm = intsAttribute(node, 'perm');
  if (perm === undefined || perm.slice(dims.length).some((axis, at) => axis !== dims.length + at))
    return undefined;
  if (perm.length !== rank) return undefined;
  const moved = perm.slice(0, dims.length);
  const movedDims = moved.map((axis) => elementAt(dims, axis));
  const movedOrder = placesOf(movedDims).map((place) => {
    const from = dims.map((_, axis) => elementAt(place, moved.indexOf(axis)));
    return elementAt(
      order,
      from.reduce((sum, at, axis) => sum * elementAt(dims, axis) + at, 0),
    );
  });
  return { ...channels, dims: movedDims, order: movedOrder };
}

/** Takes one place along an axis, which is gone then. */
function gathered(graph: Graph, node: Node, channels: Channels): Channels | undefined {
  const { dims, order } = channels;
  const rank = tensorAt(graph, inputAt(node, 0)).shape?.length ?? 0;
  const given = intAttribute(node, 'axis', 0);
  const axis = given < 0 ? given + rank : given;
  const indices = inputAt(node, 1);
  const [index, ...others] = constantNumbers(graph, indices) ?? [];
  const size = dims[axis];
  if (index === undefined || others.length > 0 || size === undefined) return undefined;
  if (tensorAt(graph, indices).shape?.length !== 0) return undefined;
  const taken = index < 0 ? index + size : index;
  const places = placesOf(dims);
  return {
    ...channels,
    dims: dims.filter((_, at) => at !== axis),
    order: order.filter((_, at) => elementAt(elementAt(places, at), axis) === taken),
  };
}

/** All places of an array, in order. */
function placesOf(dims: readonly number[]): readonly (readonly number[])[] {
  return dims.reduce<readonly (readonly number[])[]>(
    (places, size) => places.flatMap((place) => Array.from({ length: size }, (_, at) => [...place, at])),
    [[]],
  );
}

/** Whether a node gives a map of the same height and width whose channels are others than those of the chain's map. */
function isMapAgain(graph: Graph, node: Node, { map, height, width, order, length }: Channels): boolean {
  const { shape } = tensorAt(graph, outputAt(node, 0));
  const isSame =
    order.length === tensorAt(graph, map).shape?.[1] && order.every((channel, at) => channel === at);
  return length > 1 && !isSame && shape?.join() === [1, order.length, height, width].join();
}

function gatherOf(list: TensorList, node: Node, { map, order }: Channels): Node {
  const indices = list.add({
    name: `${node.name}_channels`,
    dtype: 'int64',
    shape: [order.length],
    constant: inlineConstant(BigInt64Array.from(order, BigInt)),
  });
  return {
    ...node,
    op: 'Gather',
    inputs: [map, indices],
    attributes: { axis: { kind: 'int', value: 1 } },
  };
}
