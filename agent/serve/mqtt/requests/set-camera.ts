/** Settings of cameras over MQTT. docs/protocol.md, section 5. */
import type { NodeTopics } from '../../../../shared/wire/index.js';
import { cameraTopics, parseCameraSetting, RequestError } from '../../../../shared/wire/index.js';
import type { Route } from '../dispatch.js';
import type { LinkMessage } from '../mqtt-link.js';

/** The cameras that clients may switch on and off. */
export interface SwitchableCameras {
  /** @throws {RangeError} if there is no such camera. */
  setEnabled(name: string, isEnabled: boolean): Promise<void>;
}

/** A setting is a few words. */
const MAX_BYTES = 1024;

/** Settings that can't be used are dropped, and the log says why. */
export function setCameraRoute(cameras: SwitchableCameras, topics: Pick<NodeTopics, 'cameras'>): Route {
  return {
    filter: cameraTopics(topics, '+').set,
    handle: async (message, [camera = '']) => {
      const { enabled } = parseCameraSetting(textOf(message));
      await cameras.setEnabled(camera, enabled);
    },
  };
}

/** @throws {RequestError} if it is too long. */
function textOf({ payload }: LinkMessage): string {
  const bytes = payload.byteLength;
  if (bytes <= MAX_BYTES) return Buffer.from(payload).toString('utf8');
  throw new RequestError('setting', `${bytes} bytes, expected at most ${MAX_BYTES}`, 413);
}
