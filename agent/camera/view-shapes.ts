/** What a snapshot shows in addition to the picture: zones, and boxes with id, label and confidence. */
import type { DrawnShape } from '../engine/wire/protocol.js';
import type { Sighting } from '../track/object-tracker.js';
import type { Zone } from '../track/zones.js';

export function shapeOfZone({ name, points }: Zone): DrawnShape {
  return { kind: 'polygon', points, text: name };
}

/** @param id of the detection's object; undefined if it has none. */
export function shapeOfSighting({ detection, place }: Sighting, id: string | undefined): DrawnShape {
  const { centerX, centerY, width, height } = place;
  const [left, top] = [centerX - width / 2, centerY - height / 2];
  const percent = `${Math.round(detection.confidence * 100)}%`;
  return {
    kind: 'box',
    points: [
      { x: left, y: top },
      { x: left + width, y: top + height },
    ],
    // The part of an id that differs from object to object is its last one.
    text: [detection.label, percent, id?.replace(/.*-/, '#')].filter((part) => part !== undefined).join(' '),
  };
}
