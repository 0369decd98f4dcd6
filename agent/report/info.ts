/** Renders what a node is and offers from its snapshot. docs/protocol.md, section 1. */
import type { NodeInfo } from '../../shared/wire/index.js';
import { inferTopic } from '../../shared/wire/index.js';
import type { NodeSnapshot } from './snapshot.js';

/** @param base first levels of the node's topics. */
export function describeInfo(snapshot: NodeSnapshot, { base }: { readonly base: string }): NodeInfo {
  const { version, node, maxPayloadBytes, models } = snapshot;
  return {
    version,
    node,
    maxPayloadBytes,
    models: models.map(({ name, input, plan, smallestBytes }) => ({
      name,
      inferTopic: inferTopic(base, node, name),
      input,
      plan,
      smallestBytes,
    })),
  };
}
