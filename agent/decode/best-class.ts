/** A class and its score. */
export interface ScoredClass {
  readonly classId: number;
  readonly score: number;
}

/** The class with the highest score, the first one of equals. Scores that aren't numbers lose. */
export function bestClass(classes: number, scoreOf: (classId: number) => number): ScoredClass {
  let [best, highest] = [0, Number.NEGATIVE_INFINITY];
  for (let classId = 0; classId < classes; classId += 1) {
    const score = scoreOf(classId);
    if (score > highest) [best, highest] = [classId, score];
  }
  return { classId: best, score: highest };
}
