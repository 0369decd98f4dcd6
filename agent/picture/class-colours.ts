/**
 * A colour for each class, so that neighbours in number are far apart: the bits of a class's number are spread over the
 * highest bits of red, green and blue. Class 0, often the background, is black.
 * Source: PASCAL VOC 2012 development kit, VOCcode/VOClabelcolormap.m.
 */

const CLASSES = 256;

/** Red, green and blue of 256 classes. */
export const CLASS_COLOURS: Uint8Array = Uint8Array.from({ length: CLASSES * 3 }, (_, at) => {
  const [classId, channel] = [Math.floor(at / 3), at % 3];
  let value = 0;
  for (let bit = 0; bit < 8; bit += 1) {
    const isSet = (classId >> (3 * bit + channel)) & 1;
    value |= isSet << (7 - bit);
  }
  return value;
});
