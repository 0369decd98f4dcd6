import type { Graph } from '../shared/graph/index.js';
import type { ValueRange } from './quantize-graph.js';
/** Returns the range of each map by tensor, for values of the image from -1 to 1. */
export declare function measureRanges(graph: Graph): Promise<ReadonlyMap<number, ValueRange>>;
