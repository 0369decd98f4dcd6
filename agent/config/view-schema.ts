/** The keys of a camera that say what counts in its picture, and what is told of it. config/agent.yaml explains each. */
import type { Checked, Rule, ValueOf } from '../../shared/rules/index.js';
import {
  invalid,
  list,
  map,
  matching,
  numberWithin,
  orDefault,
  record,
  refine,
  text,
  valid,
  wholeNumber,
} from '../../shared/rules/index.js';
import { byteSize, section } from './config-rule.js';
import { TOPIC_NAME, TOPIC_NAME_RULE } from './node-name.js';

const MAX_DURATION = 86_400;
const LABELS = 'a list of labels, or a map of labels with the least confidence of each';
const JPEG_BYTES = { expected: 'a size from 16K to 2M', least: 16 * 2 ** 10, most: 2 * 2 ** 20 } as const;

const label = text('a label', (name) => name !== '');

/** Least confidence by label, null for the model's own; a list of labels leaves it to the model for all. */
const labelsRule: Rule<Readonly<Record<string, number | null>>> = (value) => {
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0)
    return invalid(value, LABELS);
  if (!Array.isArray(value)) return record(orDefault(numberWithin(0, 1), null))(value);
  const names = list(label)(value);
  return names.isValid ? valid(Object.fromEntries(names.value.map((name) => [name, null]))) : names;
};

/** A point as [x, y], relative to the picture. */
const point: Rule<{ readonly x: number; readonly y: number }> = (value) => {
  const pair = list(numberWithin(0, 1), { least: 2, most: 2, expected: 'a point, [x, y]' })(value);
  if (!pair.isValid) return pair;
  const [x = 0, y = 0] = pair.value;
  return valid({ x, y });
};

const polygon = list(point, { least: 3, most: 64, expected: 'a list of 3 to 64 points' });

const zones = refine(
  list(
    map({
      name: matching(TOPIC_NAME, TOPIC_NAME_RULE),
      points: polygon,
    }),
    { most: 32, expected: 'a list of at most 32 zones' },
  ),
  (given) => {
    const names = given.map(({ name }) => name);
    const twin = names.find((name, at) => names.indexOf(name) !== at);
    return twin === undefined ? valid(given) : invalid(twin, 'zones with a name of its own each');
  },
);

/** `false`, or a map whose keys may all be absent. */
function falseOr<T>(rule: Rule<T>): Rule<T | false> {
  return (value): Checked<T | false> => (value === false ? valid(false) : rule(value));
}

const motion = map({
  /** Least difference in brightness, of 255. */
  threshold: orDefault(numberWithin(1, 255), 25),
  /** Least part of the picture that moves. */
  area: orDefault(numberWithin(0, 1), 0.005),
  mask: orDefault(list(polygon, { most: 32, expected: 'a list of at most 32 polygons' }), []),
});

/**
 * SORT's paper has an age of 1 frame, 3 hits and an overlap of 0.3, for 25 frames a second and more. At one or two frames a
 * second one missed detection must not end an object, and a walker has passed after three frames.
 */
const objects = section({
  /** Seconds without a detection after which an object ends. */
  maxAge: orDefault(numberWithin(0.1, 3600), 3),
  minHits: orDefault(wholeNumber(1, 100), 2),
  iouThreshold: orDefault(numberWithin(0.01, 0.99), 0.3),
  /** Seconds between two updates of an object. */
  updateInterval: orDefault(numberWithin(0, MAX_DURATION), 5),
});

const snapshots = map({
  /** Most columns of a picture. */
  width: orDefault(wholeNumber(64, 1920), 640),
  quality: orDefault(wholeNumber(10, 95), 75),
  maxBytes: orDefault(byteSize(JPEG_BYTES), 200 * 2 ** 10),
  /** Least seconds between two. */
  interval: orDefault(numberWithin(0.1, MAX_DURATION), 1),
});

/** To be spread into the map of each kind of camera. */
export const viewRules = {
  labels: orDefault(labelsRule, null),
  zones: orDefault(zones, []),
  motion: orDefault(falseOr(motion), false),
  objects,
  snapshots: orDefault(falseOr(snapshots), false),
} as const;

export const VIEW_KEYS: readonly string[] = Object.keys(viewRules);

type ViewRules = typeof viewRules;
export type ViewConfig = { readonly [K in keyof ViewRules]: ValueOf<ViewRules[K]> };
