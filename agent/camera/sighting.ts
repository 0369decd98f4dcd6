/** Reads a detection as its camera's configuration says: which zones it is in, and whether it is of an object. */
import type { ViewConfig } from '../config/view-schema.js';
import type { Box, Detection } from '../decode/detection.js';
import type { Sighting } from '../track/object-tracker.js';
import { zonesOf } from '../track/zones.js';

interface Size {
  readonly width: number;
  readonly height: number;
}

export type SightingRules = Pick<ViewConfig, 'labels' | 'zones'>;

/** @param image size of the image, in whose pixels the detection's box is. */
export function sightingOf(detection: Detection, image: Size, { labels, zones }: SightingRules): Sighting {
  const place = relativeBox(detection, image);
  return {
    detection,
    place,
    zones: zonesOf(zones, place),
    isCounted: isConfident(detection, labels) && hasArea(place),
  };
}

function relativeBox({ box: { x, y, width, height } }: Detection, image: Size): Box {
  return {
    centerX: (x + width / 2) / image.width,
    centerY: (y + height / 2) / image.height,
    width: width / image.width,
    height: height / image.height,
  };
}

/** Without configured labels each detection of the model counts. */
function isConfident({ label, confidence }: Detection, labels: SightingRules['labels']): boolean {
  if (labels === null) return true;
  return Object.hasOwn(labels, label) && confidence >= (labels[label] ?? 0);
}

/** Random weights and thresholds of 0 give boxes of any size. */
function hasArea({ width, height, centerX, centerY }: Box): boolean {
  const isKnown = [width, height, centerX, centerY].every(Number.isFinite);
  return isKnown && width > 0 && height > 0 && width * height > 0;
}

/** @throws {RangeError} naming the labels that the model has, if one of the configuration isn't among them. */
export function checkLabels(labels: SightingRules['labels'], known: readonly string[]): void {
  // A model may have no names for its classes.
  if (labels === null || known.length === 0) return;
  const unknown = Object.keys(labels).find((label) => !known.includes(label));
  if (unknown === undefined) return;
  throw new RangeError(`Cannot look for label "${unknown}": the model has ${known.join(', ')}`);
}
