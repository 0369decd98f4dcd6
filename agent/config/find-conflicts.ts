/**
 * Finds conflicts between values. It reads the unchecked values of the file, so that conflicts are reported
 * together with faults of single values. Values of a wrong type are left to the schema.
 */
import { elementAt } from '../../shared/graph/index.js';
import { isLoopback } from '../../shared/wire/index.js';
import { DEFAULT_INTERVALS } from './config-schema.js';
import type { Problem } from './describe-issue.js';
import { showValue, valueAt } from './show-value.js';

export function findConflicts(root: unknown): readonly Problem[] {
  return [
    ...findTwins(root, 'models'),
    ...findTwins(root, 'cameras'),
    ...findLost(root),
    ...findCrossed(root),
    ...findHalfLogin(root),
    ...findOpenDoor(root),
  ];
}

function findTwins(root: unknown, key: 'models' | 'cameras'): readonly Problem[] {
  const names = valuesOf(root, key, 'name');
  return names.flatMap((name, at) => {
    const first = names.indexOf(name);
    if (typeof name !== 'string' || first === at) return [];
    const path = [key, at, 'name'];
    return [
      {
        path,
        message: `cannot be ${showValue(name, path)} again, expected a name other than that of ${key}.${first}`,
      },
    ];
  });
}

/** Cameras whose model isn't configured. */
function findLost(root: unknown): readonly Problem[] {
  const names = valuesOf(root, 'models', 'name').filter((name) => typeof name === 'string');
  const models = [...new Set(names)];
  const expected =
    models.length === 0
      ? 'a model listed in models, which is empty'
      : `one of ${models.map((name) => showValue(name, ['models'])).join(', ')}`;
  return valuesOf(root, 'cameras', 'model').flatMap((model, at) => {
    if (typeof model !== 'string' || models.includes(model)) return [];
    const path = ['cameras', at, 'model'];
    return [{ path, message: `cannot be ${showValue(model, path)}, expected ${expected}` }];
  });
}

function findCrossed(root: unknown): readonly Problem[] {
  const given = valueAt(root, ['memory', 'maxInterval']) ?? undefined;
  const least = valueAt(root, ['memory', 'minInterval']) ?? DEFAULT_INTERVALS.least;
  const most = given ?? DEFAULT_INTERVALS.most;
  if (typeof least !== 'number' || typeof most !== 'number' || least <= most) return [];
  const [key, message] =
    given === undefined
      ? ['minInterval', `cannot be ${least}, expected at most maxInterval, ${most}`]
      : ['maxInterval', `cannot be ${most}, expected at least minInterval, ${least}`];
  return [{ path: ['memory', key], message }];
}

/** A user name without a password, or the other way round. The embedded broker asks for both or for neither. */
function findHalfLogin(root: unknown): readonly Problem[] {
  const read = (key: string) => valueAt(root, ['mqtt', key]) ?? undefined;
  const isEmbedded = (read('server') ?? 'embedded') === 'embedded';
  const missing = ['username', 'password'].filter((key) => read(key) === undefined);
  if (!isEmbedded || missing.length !== 1) return [];
  const path = ['mqtt', elementAt(missing, 0)];
  return [
    { path, message: 'is missing, expected username and password, or neither, with the embedded broker' },
  ];
}

/** An embedded broker that other machines can reach, without a login: whoever is on the network would be let in. */
function findOpenDoor(root: unknown): readonly Problem[] {
  const read = (...keys: readonly string[]) => valueAt(root, ['mqtt', ...keys]) ?? undefined;
  const host = read('listen', 'host');
  const isEmbedded = (read('server') ?? 'embedded') === 'embedded';
  const hasLogin =
    read('username') !== undefined || read('password') !== undefined || read('passwordFile') !== undefined;
  if (!isEmbedded || typeof host !== 'string' || isLoopback(host) || hasLogin) return [];
  const path = ['mqtt', 'listen', 'host'];
  return [
    {
      path,
      message: `cannot be ${showValue(host, path)} without mqtt.username and mqtt.password, expected both, or 127.0.0.1`,
    },
  ];
}

function valuesOf(root: unknown, key: string, field: string): readonly unknown[] {
  const items = valueAt(root, [key]);
  return Array.isArray(items) ? items.map((item) => valueAt(item, [field])) : [];
}
