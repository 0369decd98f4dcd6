/**
 * The rights to read and publish at the embedded broker. The agent may do everything. For every other client:
 *
 * - It may not read another client's answers, which lie two levels or more below `<base>/clients`
 *   (docs/protocol.md, section 3). A filter is refused if any topic `<base>/clients/<another client>/...`
 *   could match it. So `#`, `<base>/#` and `<base>/+/+/answers` are refused. `<base>/+/health` is too short
 *   to match an answer. A filter that names a node or the client itself can't match answers of others.
 * - It gets no requests, whatever it subscribes to: they hold the images of others. Filters of requests alone are
 *   refused, the others (`<base>/<node>/#`) just bring none.
 * - It may not use filters that begin with `$`. `$SYS/...` would tell the ids of other clients, and only the
 *   secrecy of its id guards a client's answers. `$share/<group>/...` hides the real filter, and aedes
 *   doesn't share anyway.
 * - It may publish inference requests (section 2), requests of snapshots (section 1) and settings of cameras
 *   (section 5) to any node below the base, and nothing else. None may be retained: it would count again at each start
 *   of the node. The broker appends the client's id to the topic of an inference, so that the agent knows who asked and
 *   sends the answer to no one else.
 */
import { elementAt } from '../../../shared/graph/index.js';
import { isTopicLevel } from '../../../shared/wire/index.js';

export interface Reader {
  readonly base: string;
  /** Client id. It is a topic level, so that it can't be a wildcard. */
  readonly client: string;
}

export interface Publication {
  readonly topic: string;
  readonly retain: boolean;
}

/** Levels of what clients publish, after base and node: requests, and settings of cameras. `<name>` is any level. */
const TAILS = [
  ['v2', 'models', '<name>', 'infer'],
  ['cameras', '<name>', 'snapshot', 'get'],
  ['cameras', '<name>', 'set'],
] as const;

/** Whether a client other than the agent may subscribe to a filter. */
export function mayRead(filter: string, { base, client }: Reader): boolean {
  if (filter.startsWith('$')) return false;
  const levels = filter.split('/');
  const place = [...base.split('/'), 'clients'];
  const many = levels.indexOf('#');
  const fixed = many < 0 ? levels : levels.slice(0, many);
  if (isRequest(filter, base)) return false;
  const reaches = place.every(
    (level, at) => at >= fixed.length || [level, '+'].includes(elementAt(fixed, at)),
  );
  const longEnough = many >= 0 || levels.length >= place.length + 2;
  return !reaches || !longEnough || fixed[place.length] === client;
}

/** Whether a topic is one of requests, or a filter can match requests alone. */
export function isRequest(topic: string, base: string): boolean {
  const root = base.split('/');
  const levels = topic.split('/');
  const isBelow = root.every((level, at) => [level, '+'].includes(levels[at] ?? ''));
  return isBelow && levels[root.length] !== 'clients' && levels[root.length + 1] === 'v2';
}

/** The topic by which the agent gets a client's request. */
export function signedTopic(topic: string, client: string): string {
  return `${topic}/${client}`;
}

/** Whether a client other than the agent may publish. */
export function mayPublish({ topic, retain }: Publication, base: string): boolean {
  if (retain || !topic.startsWith(`${base}/`)) return false;
  const levels = topic.slice(base.length + 1).split('/');
  const node = elementAt(levels, 0);
  // Answers lie below `clients`, also those of a client whose id is v2.
  return isTopicLevel(node) && node !== 'clients' && TAILS.some((tail) => isLike(levels.slice(1), tail));
}

function isLike(levels: readonly string[], tail: readonly string[]): boolean {
  if (levels.length !== tail.length) return false;
  return levels.every((level, at) => (tail[at] === '<name>' ? isTopicLevel(level) : level === tail[at]));
}
