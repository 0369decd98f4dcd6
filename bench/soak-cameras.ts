/** The cameras of the soak. */
import { DEMO_MODEL } from '../demo/demo-model.js';

const FPS = 1;

/** Configuration of all cameras: one that makes its frames itself, and one with a source. @param image path of a picture. */
export function soakCameras(image: string) {
  return [
    { kind: 'synthetic', name: 'synthetic', model: DEMO_MODEL, fps: FPS },
    { kind: 'file', name: 'source', model: DEMO_MODEL, fps: FPS, files: [image] },
  ];
}

/**
 * Stops the source of the camera `source` for some time.
 *
 * Files are a source that can't stop. A camera of kind ffmpeg takes their place in `soakCameras` once there is one; then
 * its stream is ended and started again here.
 * @returns whether there was something to stop.
 */
export async function stopCameraSource(_awayMs: number): Promise<boolean> {
  return false;
}
