/**
 * What bench/store-kills writes: generations of rows, each of which says its number in every part. So a front, a batch or
 * a set of costs that was written by halves shows. Times are generations, too.
 */

import type { FrontKey, Store, StoredFront } from '../agent/store/store.js';

const MODEL = { modelDigest: 'sha256:soak', width: 608, height: 608 } as const;
const SETTINGS = { level: 'extended', allocator: 'glibc', threads: 2 } as const;
const DEVICE = 'bench';
const POINTS = 40;
const SAMPLES = 64;
const COSTS = 3;
const SPOOLED = 8;

/** Generations of statistics that are kept, and of spooled messages. */
const KEPT = 200;
const WAITING = 16;

/** Each generation has another source of costs. Saving its front drops the one before in the same transaction. */
function frontKeyOf(generation: number): FrontKey {
  const profile = String(generation);
  return { ...MODEL, planner: '1', choice: '{}', weights: 'resident', profile, allocator: 'glibc' };
}

function frontOf(generation: number): StoredFront {
  const predicted = { workingBytes: generation, weightsBytes: 1, peakBytes: generation + 1, latencyMs: 1 };
  const points = Array.from({ length: POINTS }, (_, at) => {
    return { notation: `${generation}: ${at}`, settings: SETTINGS, predicted };
  });
  return { points, complete: generation % 2 === 0 };
}

function answerKey() {
  return { ...MODEL, level: 'all', threads: 1, device: DEVICE };
}

export function writeGeneration(store: Store, generation: number): void {
  store.saveFront(frontKeyOf(generation), frontOf(generation), generation);
  store.saveExperience(MODEL, { plan: 'whole', correction: 1 + generation, barredBytes: 0 }, generation);
  const answer = { digest: String(generation), samples: new Float32Array(SAMPLES).fill(generation) };
  store.saveAnswer(answerKey(), { answer, source: 'whole' }, generation);
  const costs = Array.from({ length: COSTS }, (_, at) => {
    return { threads: at + 1, kernels: 'plain', costs: '{}', measuredMs: generation };
  });
  store.saveCosts(DEVICE, costs);
  spool(store, generation);
  store.addEvent({ kind: 'generation', detail: String(generation) }, generation);
  const figures = { predictedBytes: 1, measuredBytes: 1, predictedMs: 1, latencyMs: 1 };
  store.addMeasurement({ model: 'soak', notation: 'whole', ...SETTINGS, ...figures }, generation);
  if (generation % KEPT === 0) store.dropBefore(generation - KEPT);
}

function spool(store: Store, generation: number): void {
  const message = { atMs: generation, topic: String(generation), payload: 'x'.repeat(200) };
  store.addSpooled(new Array(SPOOLED).fill(message));
  if (store.spooledSize().count <= WAITING * SPOOLED) return;
  store.dropSpooled(store.oldestSpooled(SPOOLED).map(({ id }) => id));
}

/**
 * What is wrong with the content of a store whose writer was killed.
 * @param confirmed last generation that was written as a whole; parts of the next one may be there.
 */
export function faultsOf(store: Store, confirmed: number): readonly string[] {
  const fits = (generation: number) => generation === confirmed || generation === confirmed + 1;
  const newest = (generation: number | undefined) => fits(generation ?? 0);
  const checks: Readonly<Record<string, boolean>> = {
    'half a front, or none': hasWholeFront(store, confirmed),
    'half an experience': newest((store.experiencesOf(MODEL)[0]?.correction ?? 1) - 1),
    'half an answer': hasWholeAnswer(store, fits),
    'half a set of costs': hasWholeCosts(store, fits),
    'half a batch of messages': hasWholeBatches(store),
    'an event lost': newest(store.events(1)[0]?.atMs),
    'a measurement lost': newest(store.measurements(1)[0]?.atMs),
  };
  return Object.entries(checks).flatMap(([name, isGood]) => (isGood ? [] : [name]));
}

/** Exactly one front is there, and all of it is of one generation. */
function hasWholeFront(store: Store, confirmed: number): boolean {
  const found = [confirmed, confirmed + 1].flatMap((generation) => {
    const front = store.findFront(frontKeyOf(generation));
    return front === undefined ? [] : [{ generation, front }];
  });
  const isWhole = found.every(
    ({ generation, front }) => JSON.stringify(front) === JSON.stringify(frontOf(generation)),
  );
  return isWhole && (found.length === 1 || (found.length === 0 && confirmed === 0));
}

function hasWholeAnswer(store: Store, fits: (generation: number) => boolean): boolean {
  const answer = store.findAnswer(answerKey())?.answer;
  if (answer === undefined) return fits(0);
  const generation = Number(answer.digest);
  return (
    fits(generation) &&
    answer.samples.length === SAMPLES &&
    answer.samples.every((sample) => sample === generation)
  );
}

function hasWholeCosts(store: Store, fits: (generation: number) => boolean): boolean {
  const costs = store.costsOf(DEVICE);
  const [first] = costs;
  if (first === undefined) return fits(0);
  return (
    costs.length === COSTS &&
    fits(first.measuredMs) &&
    costs.every(({ measuredMs }) => measuredMs === first.measuredMs)
  );
}

function hasWholeBatches(store: Store): boolean {
  const counts = new Map<string, number>();
  for (const { topic } of store.oldestSpooled((WAITING + 2) * SPOOLED))
    counts.set(topic, (counts.get(topic) ?? 0) + 1);
  return [...counts.values()].every((count) => count === SPOOLED);
}
