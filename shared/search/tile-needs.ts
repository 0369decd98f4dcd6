/**
 * This file finds the needs of a grid of tiles as `predict/predict.ts` does, but without building its session, since
 * the search asks for many. Its oracle is the predictor itself (test/search/tile-needs.test.ts).
 *
 * 1. List the kernel calls of the range.
 * 2. For each shape of tile, set the sizes of all values.
 * 3. Add up the latency over all tiles, and find the largest step and the largest inputs.
 */

import type { Graph, NodeRange } from '../graph/index.js';
import { BYTES_PER_ELEMENT, elementAt, elementCount, knownShape, tensorAt } from '../graph/index.js';
import type { AxisTile, Space, Tile } from '../tile/index.js';
import { tilesByShape } from '../tile/index.js';
import type { Call, Calls, StepCosts } from './step-costs.js';
import { callOf, emptySizes, sumBytes } from './step-costs.js';
import type { StreamNeed } from './stream-needs.js';

/** The needs of tiles of one graph. */
export class TileNeeds {
  readonly #graph: Graph;
  readonly #costs: StepCosts;
  readonly #sizes = emptySizes();
  /** Bytes of a pixel of each tensor. */
  readonly #pixelBytes: number[] = [];
  #session: Calls = { calls: [], ins: [], outs: [] };
  /** Tensor of the reference map of the range. */
  #reference = -1;

  constructor(graph: Graph, costs: StepCosts) {
    this.#graph = graph;
    this.#costs = costs;
  }

  /** Takes up a range. */
  begin({ from, to }: NodeRange, space: Space): void {
    const calls: Call[] = [];
    for (let node = from; node < to; node += 1) {
      const kernel = elementAt(this.#costs.kernels.kernels, node);
      calls.push(callOf(this.#costs.kernels, { node, reads: kernel.reads, before: calls.at(-1) }));
      for (const tensor of [...kernel.reads, ...kernel.writes]) if (tensor >= 0) this.#measure(tensor);
    }
    this.#reference = space.reference;
    this.#session = { calls, ins: space.boundary.inputs, outs: space.boundary.outputs };
    this.#costs.readLast(this.#session);
  }

  /** Finds the needs of the grid of these tiles, of the range that was taken up last. */
  of(rowTiles: readonly AxisTile[], colTiles: readonly AxisTile[]): StreamNeed {
    const held = new Map(this.#session.ins.map((tensor) => [tensor, 0]));
    const sizes = this.#sizes;
    let [latencyMs, stepBytes] = [0, 0];
    for (const { example, tiles } of tilesByShape({ rowTiles, colTiles }, this.#reference)) {
      this.#setSizes(example);
      const peakBytes = this.#costs.peak(this.#session.calls, sizes);
      const outputBytes = sumBytes(sizes, this.#session.outs);
      const faultsMs = this.#costs.faults({ peakBytes, outputBytes });
      latencyMs += tiles.length * (this.#costs.latency(this.#session, sizes) + faultsMs);
      stepBytes = Math.max(stepBytes, peakBytes, 2 * outputBytes);
      for (const [tensor, bytes] of held) held.set(tensor, Math.max(bytes, elementAt(sizes.bytes, tensor)));
    }
    return { latencyMs, stepBytes, heldBytes: [...held.values()].reduce((sum, bytes) => sum + bytes, 0) };
  }

  /** Sets the sizes of all values with space to those in a tile. */
  #setSizes({ rows: rowTile, cols: colTile }: Tile): void {
    for (const [tensor, { from, to }] of rowTile.spans) {
      const span = colTile.spans.get(tensor);
      if (span === undefined) continue;
      const [rows, cols] = [to - from, span.to - span.from];
      this.#sizes.rows[tensor] = rows;
      this.#sizes.cols[tensor] = cols;
      this.#sizes.bytes[tensor] = rows * cols * elementAt(this.#pixelBytes, tensor);
    }
  }

  /** Notes the sizes of the whole tensor. A tensor with space gets those in a tile later. */
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
