import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Graph } from '../../shared/graph/index.js';
import { boundaryOf } from '../../shared/graph/index.js';
import type { LinkStep, StreamLink } from '../../shared/tile/index.js';
import { phasesOf, sizeAlong } from '../../shared/tile/index.js';
import type { LinkOrder } from '../../shared/tile/link-order.js';
import { orderLinks } from '../../shared/tile/link-order.js';
import { streamRange } from '../../shared/tile/stream.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

test('orderLinks() runs a link when the next one asks for its rows', () => {
  const { order } = chainOf('3x12x9: c4k3p1 c4k3p1', '0:4 1:4');
  assert.equal(order.steps.map(describeStep).join(' '), '0f 0m 1f 0l 1m 1l');
  assert.deepEqual([...order.rings.values()], [8]);
});

test('orderLinks() keeps no more rows than wait between steps', () => {
  const cases = [
    // The second takes each step as it comes.
    ['3x32x9: m2s2 m2s2', '0:1 1:1', 2],
    ['3x32x9: c4k3p1 c4k3p1', '0:1 1:1', 2],
    // One step of the first lasts for eight of the second, and the other way round.
    ['3x32x9: c4k3p1 c4k3p1', '0:8 1:1', 8],
    ['3x32x9: c4k3p1 c4k3p1', '0:1 1:8', 9],
  ] as const;
  for (const [notation, parts, rows] of cases) {
    assert.deepEqual([...chainOf(notation, parts).order.rings.values()], [rows], notation);
  }
});

test('orderLinks() gives tensors that are used after the segment no ring', () => {
  const read = chainOf('3x32x9: c4k3p1 c4k3p1 +1', '0:2 1:2', 2);
  assert.equal(read.order.rings.size, 0);
  const output = chainOf('3x32x9: c4k3p1 ! c4k3p1', '0:2 1:2');
  assert.equal(output.order.rings.size, 0);
});

test('orderLinks() keeps rows until the last of several links has read them', () => {
  const { graph, order } = chainOf('3x64x9: c4k3p1 c4k7p3 c4k7p3 +1', '0:1 1:1 2:1');
  const [made, next] = graph.nodes.map(({ outputs }) => order.rings.get(outputs[0] ?? -1) ?? 0);
  assert.ok((made ?? 0) > (next ?? 0), `${made} rows for two links, ${next} for one`);
});

test('orderLinks() runs a link without readers to its end', () => {
  const { order, links } = chainOf('3x32x9: c4k3p1 @0 c4k3p1', '0:4 1:4');
  assertRuns(links, order);
  assert.equal(order.rings.size, 0);
});

test('orderLinks() runs every step once, never before its rows, and no ring overflows', () => {
  let linked = 0;
  fc.assert(
    fc.property(
      randomGraph({ maxSize: 64, maxWords: 12 }),
      fc.array(fc.tuple(fc.nat(99), fc.integer({ min: 1, max: 5 })), { minLength: 2, maxLength: 5 }),
      fc.nat(99),
      ({ notation }, choices, tail) => {
        const graph = graphOf(notation);
        const end = graph.nodes.length - (tail % 3 === 0 ? tail % graph.nodes.length : 0);
        const parts = choices.map(([at, units]) => [at % end, units] as const);
        const links = linksOf(graph, parts, end);
        fc.pre(links !== undefined);
        fc.pre(links.every(makesRows));
        const order = orderLinks(graph, links);
        linked += links.length > 1 ? 1 : 0;
        assertRuns(links, order);
        assertRows(graph, links, order);
      },
    ),
    { numRuns: 300 },
  );
  assert.ok(linked > 100, `only ${linked} of more than one link`);
});

/** First node and units of each link. */
type Parts = readonly (readonly [number, number])[];

/** @param parts written `from:units`. */
function chainOf(notation: string, parts: string, end?: number) {
  const graph = graphOf(notation);
  const read = parts.split(' ').map((part) => part.split(':').map(Number));
  const links = linksOf(
    graph,
    read.map(([from = 0, units = 1]) => [from, units] as const),
    end ?? graph.nodes.length,
  );
  assert.ok(links, `${notation} isn't streamed`);
  return { graph, links, order: orderLinks(graph, links) };
}

/** Makes the links up to a node. @returns undefined if one can't be streamed or needs a whole map of another. */
function linksOf(graph: Graph, parts: Parts, end: number): readonly StreamLink[] | undefined {
  const units = new Map([[0, 1], ...parts]);
  const starts = [...units.keys()].sort((a, b) => a - b);
  const links: StreamLink[] = [];
  for (const [at, from] of starts.entries()) {
    const link = streamRange(graph, { from, to: starts[at + 1] ?? end }, units.get(from) ?? 1);
    if (link === undefined || !readsRows(link, links)) return undefined;
    links.push(link);
  }
  return links;
}

/** Whether a link reads no map of another link as a whole. */
function readsRows({ stream: { space } }: StreamLink, before: readonly StreamLink[]): boolean {
  const made = new Set(before.flatMap(({ stream }) => stream.space.boundary.outputs));
  return space.boundary.inputs.every((tensor) => !made.has(tensor) || space.scales.has(tensor));
}

/** Whether a link makes none of its outputs at once. */
function makesRows({ stream: { space } }: StreamLink): boolean {
  return space.boundary.outputs.every((tensor) => space.scales.has(tensor));
}

function describeStep({ link, phase }: LinkStep): string {
  return `${link}${phase[0]}`;
}

function assertRuns(links: readonly StreamLink[], { steps }: LinkOrder): void {
  for (const [at, { stream }] of links.entries()) {
    const phases = steps.filter(({ link }) => link === at).map(({ phase }) => phase);
    assert.deepEqual(phases, phasesOf(stream), `steps of link ${at}`);
  }
}

/** Runs the order over rings that hold the number of the row which was last written to each place. */
function assertRows(graph: Graph, links: readonly StreamLink[], { steps, rings }: LinkOrder): void {
  const made = new Set(links.flatMap(({ stream }) => stream.space.boundary.outputs));
  const lasting = boundaryOf(graph, { from: links[0]?.from ?? 0, to: links.at(-1)?.to ?? 0 }).outputs;
  for (const tensor of lasting) assert.equal(rings.has(tensor), false, `ring of lasting tensor ${tensor}`);
  const held = new Map([...made].map((tensor) => [tensor, new Map<number, number>()]));
  const capacity = (tensor: number) => rings.get(tensor) ?? sizeAlong(graph, tensor, 'rows');
  const cursors = links.map(() => new Map<number, number>());
  /** Returns the next rows of a tensor in a step. */
  const advance = ({ link, phase }: LinkStep, tensor: number) => {
    const from = cursors[link]?.get(tensor) ?? 0;
    const rows = links[link]?.stream.rows[phase].get(tensor) ?? 0;
    cursors[link]?.set(tensor, from + rows);
    return Array.from({ length: rows }, (_, at) => from + at);
  };
  for (const step of steps) {
    const { inputs, outputs } = links[step.link]?.stream.space.boundary ?? { inputs: [], outputs: [] };
    for (const tensor of inputs.filter((index) => made.has(index))) {
      for (const row of advance(step, tensor)) {
        const found = held.get(tensor)?.get(row % capacity(tensor));
        assert.equal(found, row, `row ${row} of tensor ${tensor} read by ${describeStep(step)}`);
      }
    }
    for (const tensor of outputs) {
      for (const row of advance(step, tensor)) held.get(tensor)?.set(row % capacity(tensor), row);
    }
  }
}
