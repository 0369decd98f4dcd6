/**
 * Who may read and publish what at the embedded broker. The agent may do everything; for every other client:
 *
 * - It may not read another client's answers, which lie two levels or more below `<base>/clients` (docs/protocol.md,
 *   section 3). A filter is refused when any topic `<base>/clients/<another client>/...` could match it. Thus
 *   `#`, `<base>/#` and `<base>/+/+/answers` are refused; `<base>/+/health` is too short to match an answer, and
 *   a filter that names a node or the client itself stays clear of the others.
 * - It may not use filters that begin with `$`: `$SYS/...` names the other clients, and a client's id is all that
 *   guards its answers; `$share/<group>/...` hides the filter to be judged (and aedes shares nothing).
 * - It may publish inference requests, to any node below the base (section 2), and nothing else: the rest is said by
 *   nodes. Not retained, or the request would be run again at each start of the node.
 */
import { isTopicLevel } from '../../../shared/wire/index.js';

export interface Reader {
  readonly base: string;
  /** Client id: a topic level, so that it can't be a wildcard. */
  readonly client: string;
}

export interface Publication {
  readonly topic: string;
  readonly retain: boolean;
}

/** `<model>` and the node before them are any topic level. */
const INFER_TAIL = ['v2', 'models', '<model>', 'infer'] as const;

/** Whether a client other than the agent may subscribe to a filter. */
export function mayRead(filter: string, { base, client }: Reader): boolean {
  if (filter.startsWith('$')) return false;
  const levels = filter.split('/');
  const place = [...base.split('/'), 'clients'];
  const many = levels.indexOf('#');
  const fixed = many < 0 ? levels : levels.slice(0, many);
  const reaches = place.every((level, at) => at >= fixed.length || [level, '+'].includes(fixed[at] ?? ''));
  const longEnough = many >= 0 || levels.length >= place.length + 2;
  return !reaches || !longEnough || fixed[place.length] === client;
}

/** Whether a client other than the agent may publish. */
export function mayPublish({ topic, retain }: Publication, base: string): boolean {
  if (retain || !topic.startsWith(`${base}/`)) return false;
  const [node = '', ...tail] = topic.slice(base.length + 1).split('/');
  // Below `clients` lie answers, also those of a client that is called v2.
  if (!isTopicLevel(node) || node === 'clients' || tail.length !== INFER_TAIL.length) return false;
  return INFER_TAIL.every((level, at) =>
    level === '<model>' ? isTopicLevel(tail[at] ?? '') : level === tail[at],
  );
}
