/**
 * What each range of nodes needs when it runs whole, for all ends of a start at once: a tensor that is read behind
 * the end stays alive just as one that is read behind the node, so the peaks of a longer run are those of all
 * shorter ones.
 */
import type { Graph } from '../graph/graph.js';
import type { NodeRange } from '../graph/segment-graph.js';
import type { Work } from '../memory/device-profile.js';
import { latencyOf } from '../memory/device-profile.js';
import { countWork } from '../memory/latency.js';
import { predictRunPeaks } from '../memory/lifetimes.js';
import type { PredictSettings } from '../memory/predict.js';
import { imageBuffer } from '../memory/predict.js';
import { sessionsOf } from '../memory/session-run.js';
import { wholeShapes } from '../tile/tile-shape.js';

export interface WholeNeed {
  readonly latencyMs: number;
  readonly heldBytes: number;
  readonly stepBytes: number;
}

export class WholeRanges {
  readonly #graph: Graph;
  readonly #settings: PredictSettings;
  readonly #cost: Work;
  readonly #peaks = new Map<number, Float64Array>();

  constructor(graph: Graph, settings: PredictSettings, cost: Work) {
    this.#graph = graph;
    this.#settings = settings;
    this.#cost = cost;
  }

  of(range: NodeRange): WholeNeed {
    const graph = this.#graph;
    const [session] = sessionsOf(graph, { kind: 'whole', ...range });
    if (session === undefined) throw new RangeError('Cannot plan an empty range');
    const shapeOf = wholeShapes(graph);
    const outputBytes = session.outputs.reduce((sum, index) => sum + session.bytesOf(index, shapeOf), 0);
    const peakBytes = this.#peaksFrom(range.from)[range.to - range.from - 1] ?? 0;
    return {
      latencyMs: latencyOf(countWork(graph, session), this.#cost),
      heldBytes: imageBuffer(graph, session),
      stepBytes: Math.max(peakBytes, 2 * outputBytes),
    };
  }

  #peaksFrom(from: number): Float64Array {
    const known = this.#peaks.get(from);
    if (known !== undefined) return known;
    const graph = this.#graph;
    const [session] = sessionsOf(graph, { kind: 'whole', from, to: graph.nodes.length });
    if (session === undefined) throw new RangeError('Cannot plan an empty range');
    const peaks = predictRunPeaks(graph, session, {
      shapeOf: wholeShapes(graph),
      threads: this.#settings.threads,
    });
    this.#peaks.set(from, peaks);
    return peaks;
  }
}
