/** Images as an agent in service gets them: frames of a camera, and JPEGs in requests. */
import { join } from 'node:path';
import sharp from 'sharp';
import type { ImageSource } from '../agent/engine/wire/protocol.js';
import { drawImage } from './draw-image.js';

const CAMERA = { width: 640, height: 480 } as const;
const PHOTOGRAPH = { width: 768, height: 576 } as const;

/** A frame and a JPEG. @param folder where the drawing is left. */
export async function serviceImages(folder: string): Promise<readonly ImageSource[]> {
  const drawing = sharp(await drawImage(join(folder, 'drawing.png'))).removeAlpha();
  const fitting = (size: { width: number; height: number }) =>
    drawing.clone().resize({ ...size, fit: 'fill' });
  const pixels = await fitting(CAMERA).raw().toBuffer();
  const jpeg = await fitting(PHOTOGRAPH).jpeg().toBuffer();
  return [
    { kind: 'pixels', name: 'frame', ...CAMERA, bytes: pixels },
    { kind: 'bytes', name: 'photograph', bytes: jpeg },
  ];
}
