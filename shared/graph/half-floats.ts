/** IEEE 754 halves, which JavaScript of Node 20 has no array for: they are held as their 16 bits. */

/** Value of a half. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Largest finite half. */
const MAX_HALF = 65504;

/** Bits of the half that is nearest to a number, the even one of two. */
export function numberToHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  // Half a unit above the largest half a number is nearer to infinity.
  if (size >= MAX_HALF + 16) return sign | 0x7c00;
  const exponent = Math.max(-14, size === 0 ? -14 : Math.floor(Math.log2(size)));
  // Units of the half's last bit. Multiplying by a power of two is exact.
  const units = roundToEven(size * 2 ** (10 - exponent));
  // Subnormals have no leading one; one unit too many carries into the exponent, as it should.
  return sign | (((exponent + 14) << 10) + units);
}

function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}
