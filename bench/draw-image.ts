/** Draws the image that the benches send. */
import sharp from 'sharp';

/** Draws coloured shapes on noise, 1280x720, into a PNG or JPEG file, as its name ends. @returns the file's path. */
export async function drawImage(file: string): Promise<string> {
  const shapes = `<svg width="1280" height="720"><rect x="200" y="150" width="300" height="400" fill="#c33"/>
    <circle cx="850" cy="350" r="180" fill="#36c"/><polygon points="600,650 750,420 900,650" fill="#3a3"/></svg>`;
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 30 };
  const background = sharp({ create: { width: 1280, height: 720, channels: 3, background: 'grey', noise } });
  await background.composite([{ input: Buffer.from(shapes) }]).toFile(file);
  return file;
}
