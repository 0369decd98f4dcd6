/** Greedy non-maximum suppression, class by class. Source: Darknet's box.c, do_nms_sort. */
import type { Candidate } from './detection.js';
import { intersectionOverUnion } from './detection.js';
import { polygonOverlap } from './rotated-box.js';

/** Most candidates of one class. More are noise, from a threshold that is too low for the network. */
const MAX_PER_CLASS = 1000;

/**
 * Keeps the most confident box of a class and drops the boxes that overlap it by more than `iou`. Then the
 * next box that is left is kept, and so on. @returns the boxes kept of all classes, most confident first.
 */
export function suppressOverlaps(candidates: readonly Candidate[], iou: number): readonly Candidate[] {
  const classes = new Map<number, Candidate[]>();
  for (const candidate of candidates) {
    const others = classes.get(candidate.classId);
    if (others === undefined) classes.set(candidate.classId, [candidate]);
    else others.push(candidate);
  }
  return [...classes.values()].flatMap((members) => suppressClass(members, iou)).sort(byConfidence);
}

function suppressClass(candidates: readonly Candidate[], iou: number): readonly Candidate[] {
  const kept: Candidate[] = [];
  for (const candidate of [...candidates].sort(byConfidence).slice(0, MAX_PER_CLASS)) {
    if (kept.every((other) => overlapOf(other, candidate) <= iou)) kept.push(candidate);
  }
  return kept;
}

function overlapOf(a: Candidate, b: Candidate): number {
  const upright = intersectionOverUnion(a.box, b.box);
  if (upright === 0 || a.corners === undefined || b.corners === undefined) return upright;
  return polygonOverlap(a.corners, b.corners);
}

function byConfidence(a: Candidate, b: Candidate): number {
  return b.confidence - a.confidence;
}
