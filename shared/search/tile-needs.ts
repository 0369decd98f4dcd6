/**
 * What a grid of tiles needs, as `memory/predict.ts` says of its session, without building the session. Tiles whose
 * spans of the reference map are as long have the same shapes throughout. Its oracle is the predictor itself
 * (test/search/tile-needs.test.ts).
 */

import type { Graph, NodeRange } from '../graph/index.js';
import { BYTES_PER_ELEMENT, elementCount, knownShape, tensorAt } from '../graph/index.js';
import type { AxisTile, Space } from '../tile/index.js';
import type { Call, Calls, StepCosts } from './step-costs.js';
import { callOf, emptySizes, sumBytes } from './step-costs.js';
import type { StreamNeed } from './stream-needs.js';

/** Tiles along an axis that are as long, and how many. */
interface Kind {
  readonly tile: AxisTile;
  readonly length: number;
  count: number;
}

export class TileNeeds {
  readonly #graph: Graph;
  readonly #costs: StepCosts;
  readonly #sizes = emptySizes();
  /** Bytes of a pixel of each tensor with space. */
  readonly #pixelBytes: number[] = [];
  #session: Calls = { calls: [], ins: [], outs: [] };
  #space: Space | undefined;

  constructor(graph: Graph, costs: StepCosts) {
    this.#graph = graph;
    this.#costs = costs;
  }

  /** Takes up a range. */
  begin({ from, to }: NodeRange, space: Space): void {
    const calls: Call[] = [];
    for (let node = from; node < to; node += 1) {
      const kernel = this.#costs.kernels.kernels[node];
      if (kernel === undefined) continue;
      calls.push(callOf(this.#costs.kernels, { node, reads: kernel.reads, before: calls.at(-1) }));
      for (const tensor of [...kernel.reads, ...kernel.writes]) if (tensor >= 0) this.#measure(tensor);
    }
    this.#space = space;
    this.#session = { calls, ins: space.boundary.inputs, outs: space.boundary.outputs };
    this.#costs.readLast(this.#session);
  }

  /** Of the grid of these tiles. */
  of(rowTiles: readonly AxisTile[], colTiles: readonly AxisTile[]): StreamNeed {
    const held = new Map(this.#session.ins.map((tensor) => [tensor, 0]));
    const cols = this.#kindsOf(colTiles);
    let [latencyMs, stepBytes] = [0, 0];
    for (const row of this.#kindsOf(rowTiles)) {
      for (const col of cols) {
        this.#setSizes(row.tile, col.tile);
        const sizes = this.#sizes;
        const peakBytes = this.#costs.peak(this.#session.calls, sizes);
        const outputBytes = sumBytes(sizes, this.#session.outs);
        const faultsMs = this.#costs.faults({ peakBytes, outputBytes });
        latencyMs += row.count * col.count * (this.#costs.latency(this.#session, sizes) + faultsMs);
        stepBytes = Math.max(stepBytes, peakBytes, 2 * outputBytes);
        for (const [tensor, bytes] of held) held.set(tensor, Math.max(bytes, sizes.bytes[tensor] ?? 0));
      }
    }
    return { latencyMs, stepBytes, heldBytes: [...held.values()].reduce((sum, bytes) => sum + bytes, 0) };
  }

  #kindsOf(tiles: readonly AxisTile[]): readonly Kind[] {
    const kinds: Kind[] = [];
    for (const tile of tiles) {
      const { from, to } = tile.spans.get(this.#space?.reference ?? -1) ?? { from: 0, to: 0 };
      const known = kinds.find(({ length }) => length === to - from);
      if (known === undefined) kinds.push({ tile, length: to - from, count: 1 });
      else known.count += 1;
    }
    return kinds;
  }

  #setSizes(row: AxisTile, col: AxisTile): void {
    for (const [tensor, { from, to }] of row.spans) {
      const span = col.spans.get(tensor);
      if (span === undefined) continue;
      const [rows, cols] = [to - from, span.to - span.from];
      this.#sizes.rows[tensor] = rows;
      this.#sizes.cols[tensor] = cols;
      this.#sizes.bytes[tensor] = rows * cols * (this.#pixelBytes[tensor] ?? 0);
    }
  }

  /** The whole tensor, which those with space are parts of. */
  #measure(tensor: number): void {
    const { dtype } = tensorAt(this.#graph, tensor);
    const shape = knownShape(tensorAt(this.#graph, tensor));
    const [batch = 1, channels = 1, rows = 1, cols = 1] = shape;
    this.#sizes.bytes[tensor] = elementCount(shape) * BYTES_PER_ELEMENT[dtype];
    this.#sizes.rows[tensor] = rows;
    this.#sizes.cols[tensor] = cols;
    this.#pixelBytes[tensor] = batch * channels * BYTES_PER_ELEMENT[dtype];
  }
}
