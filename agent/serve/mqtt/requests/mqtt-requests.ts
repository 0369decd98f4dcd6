/** Requests over MQTT, as a feature: from its start on the node is online and answers. */
import type { Logger } from 'pino';
import type { NodeTopics } from '../../../../shared/wire/index.js';
import type { Inference } from '../../infer.js';
import type { MqttConnection } from '../mqtt-connection.js';
import { inferRoute } from './infer.js';
import type { SwitchableCameras } from './set-camera.js';
import { setCameraRoute } from './set-camera.js';
import type { SnapshotCameras } from './snapshot.js';
import { snapshotRoute } from './snapshot.js';

export interface RequestsOptions {
  readonly connection: MqttConnection;
  readonly inference: Inference;
  readonly cameras: SnapshotCameras & SwitchableCameras;
  readonly topics: NodeTopics;
  /** Whether the broker appends the sender's id to the topics of requests. */
  readonly isSigned: boolean;
  readonly base: string;
  readonly maxPayloadBytes: number;
  /** Refuses the inferences that wait, and waits for the one that runs. */
  readonly finish: () => Promise<void>;
  readonly log: Logger;
}

export class MqttRequests {
  readonly #options: RequestsOptions;

  constructor(options: RequestsOptions) {
    this.#options = options;
  }

  start(): void {
    const { connection, inference, cameras, topics, isSigned, base, maxPayloadBytes, log } = this.#options;
    const filter = isSigned ? topics.signedInfer : topics.infer;
    const publish: MqttConnection['publish'] = (...message) => connection.publish(...message);
    const routes = [
      inferRoute({ inference, filter, base, maxPayloadBytes, publish }),
      snapshotRoute({ filter: topics.snapshotGet, cameras }),
      setCameraRoute(cameras, topics),
    ];
    connection.open(routes, (topic, reason) => log.warn({ topic, reason }, 'request dropped'));
  }

  /** Waits until the requests so far were answered: those that run with their result, the others with 503. */
  async stop(): Promise<void> {
    await this.#options.finish();
    await this.#options.connection.settle();
  }
}
