/** A flow is what all streams of a range share: the frame of its maps, and which rows each operator reads for which. */

import type { AxisRule, Graph, NodeRange } from '../graph/index.js';
import {
  constantTensors,
  elementAt,
  knownShape,
  localityOf,
  tensorAt,
  tensorsWritten,
} from '../graph/index.js';
import type { Space } from './space.js';
import { spaceOf } from './space.js';
import type { StreamWay } from './stream-rule.js';
import { streamRuleOf } from './stream-rule.js';

/** One dependence of a node on a map, with the law of its rows. */
export interface Edge {
  /** Position of the node in the graph. */
  readonly node: number;
  /** Position of the input among the node's inputs. */
  readonly input: number;
  readonly tensor: number;
  readonly outputs: readonly number[];
  readonly rule: AxisRule;
  /** How the node is streamed (stream-rule.ts). */
  readonly how: StreamWay;
}

/** The part that all streams of a range share, whatever their step. */
export interface Flow {
  readonly graph: Graph;
  readonly range: NodeRange;
  readonly space: Space;
  /** Dependences on maps with space, in the order of the nodes. */
  readonly edges: readonly Edge[];
}

/** Makes the flow of a range. @returns undefined if an operator of nodes [from, to) can't be streamed. */
export function flowOf(graph: Graph, range: NodeRange): Flow | undefined {
  const result = spaceOf(graph, range);
  return result.kind === 'space' ? flowIn(graph, range, result.space) : undefined;
}

/** Makes the flow of a range whose frame is known. @returns undefined as `flowOf` does. */
export function flowIn(graph: Graph, range: NodeRange, space: Space): Flow | undefined {
  const edges = edgesOf(graph, range);
  if (edges === undefined || hasMapOffFrame(graph, range, space)) return undefined;
  return { graph, range, space, edges: edges.filter(({ tensor }) => space.scales.has(tensor)) };
}

/**
 * Whether some map isn't in the frame. A branch that meets the others only outside of the range has no rows in step with
 * theirs.
 */
function hasMapOffFrame(graph: Graph, { from, to }: NodeRange, { scales }: Space): boolean {
  return graph.nodes.slice(from, to).some(({ outputs: [output = -1] }) => {
    if (output < 0 || scales.has(output) || constantTensors(graph).has(output)) return false;
    const [, , rows = 1, cols = 1] = knownShape(tensorAt(graph, output));
    return rows * cols > 1;
  });
}

function edgesOf(graph: Graph, { from, to }: NodeRange): readonly Edge[] | undefined {
  const edges: Edge[] = [];
  for (const [offset, node] of graph.nodes.slice(from, to).entries()) {
    const how = streamRuleOf(graph, node);
    const locality = localityOf(graph, node);
    if (how.kind === 'barrier' || locality.kind === 'barrier') return undefined;
    const outputs = tensorsWritten(node);
    for (const [input, rule] of locality.inputs.entries()) {
      if (rule === null) continue;
      const tensor = elementAt(node.inputs, input);
      if (tensor >= 0) {
        edges.push({ node: from + offset, input, tensor, outputs, rule: rule.rows, how });
      }
    }
  }
  return edges;
}
