/**
 * MQTT topics of a node. All lie under `<base>/<node>/`; answers go to topics under `<base>/clients/<client>/`
 * alone, which the broker's ACL gives to that client. A request that names another place is refused, since the node
 * would publish there.
 */

export interface NodeTopics {
  /** Retained, plain text: online, stopped, or offline by last will. */
  readonly status: string;
  /** Retained JSON: identity and models of the node. */
  readonly info: string;
  /** Retained JSON: budget, memory, cameras, processes. */
  readonly health: string;
  /** JSON: findings of one frame. */
  readonly events: string;
  /** JSON: what happened to the node itself: plans, executor, store, self-check. */
  readonly notices: string;
  /** Subscription for inference requests of all models. */
  readonly infer: string;
  /** The same where the broker appends the sender's client id. */
  readonly signedInfer: string;
  /** First levels of the topics of cameras; see `cameraTopics`. */
  readonly cameras: string;
  /** Subscription for requests of snapshots of all cameras. */
  readonly snapshotGet: string;
}

/** Topics of one camera. */
export interface CameraTopics {
  /** Changes of its setting, by clients. */
  readonly set: string;
  /** Retained JSON: whether it is enabled and runs. */
  readonly state: string;
  /** JSON: an object that began, changed or ended. */
  readonly objects: string;
  /** Retained JSON: numbers of objects by label and zone. */
  readonly counts: string;
  /** Retained JPEG. */
  readonly snapshot: string;
}

export function nodeTopics(base: string, node: string): NodeTopics {
  const root = `${base}/${node}`;
  return {
    status: `${root}/status`,
    info: `${root}/info`,
    health: `${root}/health`,
    events: `${root}/events`,
    notices: `${root}/notices`,
    infer: `${root}/v2/models/+/infer`,
    signedInfer: `${root}/v2/models/+/infer/+`,
    cameras: `${root}/cameras`,
    snapshotGet: `${root}/cameras/+/snapshot/get`,
  };
}

/** @param camera `+` for the filter of all cameras. */
export function cameraTopics({ cameras }: Pick<NodeTopics, 'cameras'>, camera: string): CameraTopics {
  const root = `${cameras}/${camera}`;
  return {
    set: `${root}/set`,
    state: `${root}/state`,
    objects: `${root}/objects`,
    counts: `${root}/counts`,
    snapshot: `${root}/snapshot`,
  };
}

/** Topic of inference requests: the tail is the Open Inference Protocol's REST path. */
export function inferTopic(base: string, node: string, model: string): string {
  return `${base}/${node}/v2/models/${model}/infer`;
}

/** One level of a topic that can be published to: no separator, no wildcard, no control character. */
export function isTopicLevel(text: string): boolean {
  return text.length > 0 && text.length <= 128 && !/[/+#\p{Cc}\p{Noncharacter_Code_Point}]/u.test(text);
}

/**
 * The client of a topic to which an answer may go: `<base>/clients/<client>/...`, at most 256 characters; undefined for
 * any other topic.
 */
export function clientOf(base: string, topic: string): string | undefined {
  const head = `${base}/clients/`;
  if (!topic.startsWith(head) || topic.length > 256) return undefined;
  const levels = topic.slice(head.length).split('/');
  return levels.length >= 2 && levels.every(isTopicLevel) ? levels[0] : undefined;
}
