/** Writes Darknet networks with a line for each layer and reads facts of their graphs. */
import assert from 'node:assert/strict';
import type { DarknetNetwork } from '../../shared/darknet/index.js';
import { buildDarknet, parseDarknetConfig, SyntheticWeights } from '../../shared/darknet/index.js';
import type { Attribute, Graph, Node } from '../../shared/graph/index.js';
import { tensorAt } from '../../shared/graph/index.js';

/** A network of an input (`3x32x24` is channels, width, height) and layers, each a section with its keys. */
export function network(size: string, ...layers: readonly string[]): DarknetNetwork {
  const sections = parseDarknetConfig(config(size, ...layers));
  return buildDarknet(sections, { weights: new SyntheticWeights(1) });
}

/** Text of the config with one key in a line. The first layer starts at line 5. */
export function config(size: string, ...layers: readonly string[]): string {
  const [channels, width, height] = size.split('x');
  const net = `[net]\nchannels=${channels}\nwidth=${width}\nheight=${height}`;
  return [net, ...layers.map((layer) => layer.replaceAll(/(,) +/g, '$1').replaceAll(' ', '\n'))].join('\n');
}

/** Asserts that the error names the layer and the key with their lines. */
export function assertFails(
  [size, ...layers]: readonly [string, ...string[]],
  { layer, key, expected }: { layer: number; key: string; expected: RegExp },
): void {
  const lines = config(size, ...layers).split('\n');
  const sections = lines.flatMap((line, at) => (line.startsWith('[') ? [at + 1] : []));
  const keyLine = lines.lastIndexOf(key) + 1;
  assert.ok(keyLine > 0, `no line ${key}`);
  assert.throws(
    () => network(size, ...layers),
    (error: unknown) => {
      assert.ok(error instanceof SyntaxError);
      const section = (layers[layer] ?? '').split(' ')[0];
      assert.ok(
        error.message.includes(`layer ${layer} ${section} at line ${sections[layer + 1]}`),
        error.message,
      );
      assert.ok(error.message.includes(key), error.message);
      assert.ok(error.message.includes(`(line ${keyLine})`), error.message);
      assert.match(error.message, expected);
      return true;
    },
  );
}

export function opsOf(graph: Graph): readonly string[] {
  return graph.nodes.map(({ op }) => op);
}

export function inputShape(graph: Graph): readonly number[] | null {
  return tensorAt(graph, graph.inputs[0] ?? -1).shape;
}

export function outputShape(graph: Graph): readonly number[] | null {
  return tensorAt(graph, graph.outputs[0] ?? -1).shape;
}

export function attributesOf(node: Node | undefined): Readonly<Record<string, Attribute['value']>> {
  return Object.fromEntries(Object.entries(node?.attributes ?? {}).map(([name, { value }]) => [name, value]));
}
