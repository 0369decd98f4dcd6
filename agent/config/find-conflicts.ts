/**
 * Finds conflicts between values. It reads the unchecked values of the file, so that conflicts are reported
 * together with faults of single values. Values of a wrong type are left to the schema.
 */
import { elementAt } from '../../shared/graph/index.js';
import { isLoopback } from '../../shared/wire/index.js';
import { DEFAULT_INTERVALS, isHost } from './config-schema.js';
import type { Problem } from './describe-issue.js';
import { showValue, valueAt } from './show-value.js';

/** What counts beside the file. */
export interface Outside {
  /** Whether the service manager hands over a folder of credentials, which may have the login. */
  readonly hasCredentials: boolean;
}

export function findConflicts(root: unknown, outside: Outside): readonly Problem[] {
  return [
    ...findTwins(root, 'models'),
    ...findTwins(root, 'cameras'),
    ...findLost(root),
    ...findCrossed(root),
    ...findHalfLogin(root, outside),
    ...findOpenDoor(root, outside),
    ...findHalfTls(root),
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
function findHalfLogin(root: unknown, { hasCredentials }: Outside): readonly Problem[] {
  const given = (key: string) => (valueAt(root, ['mqtt', key]) ?? undefined) !== undefined;
  if (given('password') && given('passwordFile'))
    return [
      { path: ['mqtt', 'passwordFile'], message: 'cannot be given beside password, expected one of the two' },
    ];
  const missing = [
    ...(given('username') ? [] : ['username']),
    ...(given('password') || given('passwordFile') ? [] : ['password']),
  ];
  if (!isEmbedded(root) || hasCredentials || missing.length !== 1) return [];
  const path = ['mqtt', elementAt(missing, 0)];
  const message =
    'is missing, expected username and password or passwordFile, or neither, with the embedded broker';
  return [{ path, message }];
}

/** An embedded broker that other machines can reach, without a login: whoever is on the network would be let in. */
function findOpenDoor(root: unknown, { hasCredentials }: Outside): readonly Problem[] {
  const path = ['mqtt', 'listen', 'host'];
  const host = valueAt(root, path);
  const hasLogin = ['username', 'password', 'passwordFile'].some(
    (key) => (valueAt(root, ['mqtt', key]) ?? undefined) !== undefined,
  );
  if (!isEmbedded(root) || !isHost(host) || isLoopback(host) || hasLogin || hasCredentials) return [];
  const message = `cannot be ${showValue(host, path)} without a login, expected mqtt.username and mqtt.passwordFile, or 127.0.0.1`;
  return [{ path, message }];
}

/** Certificates without TLS, and a client certificate without its key. */
function findHalfTls(root: unknown): readonly Problem[] {
  const given = ['ca', 'cert', 'key'].filter(
    (key) => (valueAt(root, ['mqtt', 'tls', key]) ?? undefined) !== undefined,
  );
  const server = valueAt(root, ['mqtt', 'server']);
  const [first] = given;
  if (first === undefined) return [];
  if (typeof server !== 'string' || !server.startsWith('mqtts:'))
    return [
      {
        path: ['mqtt', 'tls', first],
        message: 'is for mqtts alone, expected mqtt.server: mqtts://host:port',
      },
    ];
  if (given.includes('cert') === given.includes('key')) return [];
  const missing = given.includes('cert') ? 'key' : 'cert';
  return [{ path: ['mqtt', 'tls', missing], message: 'is missing, expected cert and key, or neither' }];
}

function isEmbedded(root: unknown): boolean {
  return (valueAt(root, ['mqtt', 'server']) ?? 'embedded') === 'embedded';
}

function valuesOf(root: unknown, key: string, field: string): readonly unknown[] {
  const items = valueAt(root, [key]);
  return Array.isArray(items) ? items.map((item) => valueAt(item, [field])) : [];
}
