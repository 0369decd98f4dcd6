/** The picture of the self-check and of imports: a frame of the synthetic camera, which has edges, areas and all colours. */
import { drawFrame } from '../camera/synthetic-camera.js';
import type { ImageSource } from '../engine/wire/protocol.js';

const SIZE = { width: 320, height: 240 } as const;

/** The same bytes each time. They are drawn anew, since keeping them would cost 0.2 MB for months. */
export function checkPicture(): ImageSource {
  return { kind: 'pixels', name: 'self-check', ...SIZE, bytes: drawFrame(11, SIZE) };
}
