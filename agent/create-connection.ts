/** The node's connection to its broker, as the configuration has it. */
import type { Logger } from 'pino';
import { nodeTopics } from '../shared/wire/index.js';
import type { Config } from './config/config-schema.js';
import type { BrokerFeature } from './serve/broker/broker-feature.js';
import { MqttConnection } from './serve/mqtt/mqtt-connection.js';

export function createConnection(
  { mqtt, node }: Config,
  { broker, log }: { readonly broker: BrokerFeature; readonly log: Logger },
): MqttConnection {
  return new MqttConnection({
    access: () => broker.access,
    clientId: mqtt.clientId ?? `mafat-${node}`,
    keepaliveSeconds: mqtt.keepalive,
    maxPayloadBytes: mqtt.maxPayload,
    statusTopic: nodeTopics(mqtt.base, node).status,
    log,
  });
}
