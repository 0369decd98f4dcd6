/** A thing that a camera sees for some time. docs/protocol.md, section 1. */
import type { CountsReport, ObjectReport } from '../../shared/wire/index.js';

/** An object without what its camera adds to a report of it. */
export type TrackedObject = Omit<ObjectReport, 'change' | 'camera' | 'model'>;

export interface ObjectChange {
  readonly change: ObjectReport['change'];
  readonly object: TrackedObject;
}

/** @param zoneNames all zones, since one without objects is counted, too. */
export function countObjects(objects: readonly TrackedObject[], zoneNames: readonly string[]): CountsReport {
  const inZone = (name: string) => objects.filter(({ zones }) => zones.includes(name));
  return {
    labels: countLabels(objects),
    zones: Object.fromEntries(zoneNames.map((name) => [name, countLabels(inZone(name))])),
  };
}

/** In order of their names, so that equal counts give equal texts. */
function countLabels(objects: readonly TrackedObject[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const { label } of objects) counts.set(label, (counts.get(label) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}
