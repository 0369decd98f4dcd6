/**
 * Finds out how a network wants its pixels. The metadata of ultralytics say all. Else the later of these wins:
 *
 * 1. the family that the outputs are those of (the decoders' `pixels`)
 * 2. the first operators of the network, if they scale bytes themselves
 * 3. the metadata `Image.*`, as Windows ML reads them.
 *    Source: Windows ML, "Image metadata", on learn.microsoft.com.
 */
import type { Graph, Node } from '../../shared/graph/index.js';
import { constantNumbers, elementAt } from '../../shared/graph/index.js';
import type { PixelRule } from '../decode/box-decoder.js';
import { ULTRALYTICS_MARGIN } from '../decode/box-decoder.js';
import type { InputOptions } from './image-input.js';
import type { InputSpec } from './manifest.js';
import type { ModelHints } from './model-hints.js';

export interface PixelFacts {
  readonly hints: ModelHints;
  /** Rule of the family that the outputs are those of. */
  readonly family: PixelRule | undefined;
  /** The network as its file has it, with its constants folded. */
  readonly graph: Graph;
}

/** Undefined if nothing tells. */
export function pixelRuleOf({ hints, family, graph }: PixelFacts): PixelRule | undefined {
  if (hints.isUltralytics) return ultralyticsRule(hints);
  const known = [family, ownScaling(graph), hints.pixels].filter((rule) => rule !== undefined);
  if (known.length === 0) return undefined;
  return Object.assign({}, ...known, { by: known.map(({ by }) => by).join(', ') });
}

/** The input by a rule, but for what the user says. */
export function withPixels(input: InputSpec, options: InputOptions, rule: PixelRule | undefined): InputSpec {
  if (rule === undefined) return input;
  const byChannel = (values: readonly number[] | undefined) =>
    values?.length === input.channels ? values : undefined;
  const { margin: _, ...rest } = input;
  const resize = options.resize ?? rule.resize ?? input.resize;
  return {
    ...rest,
    resize,
    ...(resize === 'letterbox' ? { margin: rule.margin ?? ULTRALYTICS_MARGIN } : {}),
    colorOrder: options.colorOrder ?? rule.colorOrder ?? input.colorOrder,
    scale: options.scale ?? rule.scale ?? input.scale,
    mean: options.mean ?? byChannel(rule.mean) ?? input.mean,
    std: options.std ?? byChannel(rule.std) ?? input.std,
  };
}

/** Source: ultralytics, data/augment.py, LetterBox and classify_transforms. */
function ultralyticsRule({ task }: ModelHints): PixelRule {
  const by = 'metadata of ultralytics';
  return task === 'classify'
    ? { by, resize: 'crop', scale: 1 / 255 }
    : { by, resize: 'letterbox', margin: ULTRALYTICS_MARGIN, scale: 1 / 255 };
}

/** Operators before a scaling that change no value. */
const MOVING = new Set(['Identity', 'Cast', 'Transpose', 'Reshape', 'Unsqueeze', 'Squeeze']);

/** A network that scales bytes itself gets them as they are. */
function ownScaling(graph: Graph): PixelRule | undefined {
  let map = elementAt(graph.inputs, 0);
  for (;;) {
    const [reader, ...others] = graph.nodes.filter(({ inputs }) => inputs.includes(map));
    if (reader === undefined || others.length > 0) return undefined;
    if (!MOVING.has(reader.op)) return scalesBytes(graph, reader, map) ? RAW_BYTES : undefined;
    map = elementAt(reader.outputs, 0);
  }
}

const RAW_BYTES: PixelRule = {
  by: 'the network scales bytes itself',
  ...{ scale: 1, mean: [0, 0, 0], std: [1, 1, 1] },
};

/** Whether an operator brings values up to 255 to some around one, instead of ones below one already. */
function scalesBytes(graph: Graph, { op, inputs }: Node, map: number): boolean {
  const isFirst = inputs[0] === map;
  const other = isFirst ? inputs[1] : inputs[0];
  const values = other === undefined ? undefined : constantNumbers(graph, other);
  if (values === undefined || values.length === 0) return false;
  const least = Math.min(...values.map(Math.abs));
  const most = Math.max(...values.map(Math.abs));
  switch (op) {
    case 'Mul':
      return most < 0.1;
    case 'Div':
      return isFirst && least > 10;
    case 'Sub':
    case 'Add':
      return most > 10;
    default:
      return false;
  }
}
