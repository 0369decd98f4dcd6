/** Reads the detection heads of Darknet: [region] of YOLOv2, [yolo] of later versions. */
import type { Feature } from '../graph/index.js';
import { elementAt } from '../graph/index.js';
import type { DarknetSection } from './darknet-config.js';
import { badOption, floatOption, intOption, listOption } from './darknet-config.js';

/**
 * A detection head, which tells how to read boxes from an output map of shape [1, anchors * (5 + classes), H, W].
 * Sizes of anchors are fractions of the network's input, from 0 to 1.
 */
export interface DetectionHead {
  readonly kind: 'region' | 'yolo';
  /** Name of the output tensor. */
  readonly output: string;
  readonly classes: number;
  readonly anchors: readonly { readonly width: number; readonly height: number }[];
  /** Factor on the distance of a box's centre from the middle of its cell; 1 for none. */
  readonly scaleXY: number;
  /** Whether class scores compete (softmax) or are independent (logistic). */
  readonly softmax: boolean;
  /** Whether the network activates the values and sizes are squared, as `new_coords` of Scaled-YOLOv4 means. */
  readonly newCoords: boolean;
}

type UnnamedHead = Omit<DetectionHead, 'output'>;

/** Head of a [region], whose anchors are in cells of its own map. */
export function readRegionHead(section: DarknetSection, map: Omit<Feature, 'tensor'>): UnnamedHead {
  const count = intOption(section, 'num', { fallback: 1, min: 1 });
  const anchors = readAnchors(section, { count, width: map.cols, height: map.rows });
  if (intOption(section, 'background', { fallback: 0 }) !== 0) throw badOption(section, 'background', '0');
  const softmax = intOption(section, 'softmax', { fallback: 0 }) !== 0;
  return checkedHead(section, map, { kind: 'region', anchors, softmax, scaleXY: 1, newCoords: false });
}

/** Head of a [yolo]. Anchors are in pixels of the network's input, and `mask` picks those of this head. */
export function readYoloHead(
  section: DarknetSection,
  map: Omit<Feature, 'tensor'> & { readonly net: { readonly width: number; readonly height: number } },
): UnnamedHead {
  const count = intOption(section, 'num', { fallback: 1, min: 1 });
  const all = readAnchors(section, { count, ...map.net });
  const mask = section.entries.has('mask') ? listOption(section, 'mask') : all.map((_, at) => at);
  const anchors = mask.map((at) => all[at]).filter((anchor) => anchor !== undefined);
  if (anchors.length !== mask.length) throw badOption(section, 'mask', `anchors from 0 to ${count - 1}`);
  const scaleXY = floatOption(section, 'scale_x_y', 1);
  const newCoords = intOption(section, 'new_coords', { fallback: 0 }) !== 0;
  return checkedHead(section, map, { kind: 'yolo', anchors, softmax: false, scaleXY, newCoords });
}

interface AnchorScale {
  readonly count: number;
  readonly width: number;
  readonly height: number;
}

function readAnchors(section: DarknetSection, { count, width, height }: AnchorScale): UnnamedHead['anchors'] {
  const numbers = listOption(section, 'anchors');
  if (numbers.length !== count * 2)
    throw badOption(section, 'anchors', `${count * 2} numbers for num=${count}`);
  return Array.from({ length: count }, (_, at) => ({
    width: elementAt(numbers, at * 2) / width,
    height: elementAt(numbers, at * 2 + 1) / height,
  }));
}

function checkedHead(
  section: DarknetSection,
  map: Omit<Feature, 'tensor'>,
  head: Omit<UnnamedHead, 'classes'>,
): UnnamedHead {
  const classes = intOption(section, 'classes', { fallback: 20, min: 1 });
  const expected = head.anchors.length * (5 + classes);
  if (map.channels !== expected) {
    throw badOption(
      section,
      'classes',
      `${expected} channels for ${head.anchors.length} anchors, while the layer before has ${map.channels}`,
    );
  }
  return { ...head, classes };
}
