/** One picture in all kinds that cameras and strangers send. */
import type { Sharp } from 'sharp';
import sharp from 'sharp';

export interface ImageKind {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Largest mean difference of a pixel's values to the picture's, of 255; 0 if none is lost. */
  readonly loss: number;
}

/** @param plain the picture as PNG. */
export async function imageKinds(plain: Uint8Array): Promise<readonly ImageKind[]> {
  const image = () => sharp(plain);
  const pages = [plain, plain].map((page) => Buffer.from(page));
  const kinds: readonly (readonly [name: string, loss: number, image: Sharp])[] = [
    ['jpeg', 3, image().jpeg({ quality: 95 })],
    ['progressive jpeg', 3, image().jpeg({ quality: 95, progressive: true })],
    ['cmyk jpeg', 16, image().toColourspace('cmyk').jpeg({ quality: 95 })],
    ['png of 16 bits', 1, image().toColourspace('rgb16').png()],
    ['png with a palette', 4, image().png({ palette: true })],
    ['png with transparency', 0, image().ensureAlpha(1).png()],
    ['interlaced png', 0, image().png({ progressive: true })],
    ['webp', 4, image().webp({ quality: 95 })],
    ['webp without loss', 0, image().webp({ lossless: true })],
    ['animated webp', 0, sharp(pages, { join: { animated: true } }).webp({ lossless: true })],
  ];
  const kept = kinds.map(async ([name, loss, made]) => ({ name, loss, bytes: await made.toBuffer() }));
  // Its EXIF data turn each back to how it was. Mirrors come before turns in sharp.
  const turns = [[0], [0, 1], [180], [180, 1], [270, 1], [270], [90, 1], [90]] as const;
  const turned = turns.map(async ([angle, isMirrored], at) => {
    const other = image()
      .flop(isMirrored === 1)
      .rotate(angle);
    const bytes = await other
      .withMetadata({ orientation: at + 1 })
      .png()
      .toBuffer();
    return { name: `orientation ${at + 1}`, loss: 0, bytes };
  });
  return Promise.all([...kept, ...turned]);
}
