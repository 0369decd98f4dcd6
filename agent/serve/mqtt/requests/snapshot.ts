/** Requests of snapshots over MQTT. The payload doesn't count. docs/protocol.md, section 1. */
import type { Route } from '../dispatch.js';

export interface SnapshotCameras {
  /** Has the next frame of a camera drawn and published. @throws {RangeError} if it gives no snapshots. */
  requestSnapshot(camera: string): void;
}

export interface SnapshotRouteOptions {
  /** Filter of the topics, with one wildcard for the camera. */
  readonly filter: string;
  readonly cameras: SnapshotCameras;
}

export function snapshotRoute({ filter, cameras }: SnapshotRouteOptions): Route {
  return { filter, handle: async (_message, [camera = '']) => cameras.requestSnapshot(camera) };
}
