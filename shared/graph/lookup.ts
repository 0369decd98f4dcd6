/**
 * Reads of places that must hold a value. A missing value means that an invariant is broken. The process then
 * crashes with the expectation, since it would otherwise go on with a wrong number.
 */

/** The element at an index. @throws {RangeError} naming the index and the valid range, if there is none. */
export function elementAt<T>(list: ArrayLike<T>, index: number): T {
  const element = list[index];
  if (element !== undefined) return element;
  throw new RangeError(`Broken invariant: element ${index} is missing, expected 0 to ${list.length - 1}`);
}

/** The value of a key. @throws {RangeError} naming the key, if there is none. */
export function valueFor<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const value = map.get(key);
  if (value !== undefined) return value;
  throw new RangeError(`Broken invariant: key ${String(key)} is missing among ${map.size}`);
}

/** A value that must be there. @param what names it in the error. @throws {RangeError} if it is undefined. */
export function present<T>(value: T | undefined, what: string): T {
  if (value !== undefined) return value;
  throw new RangeError(`Broken invariant: ${what} is missing`);
}
