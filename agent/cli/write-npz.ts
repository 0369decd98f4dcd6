/**
 * Tensors as NumPy's .npz: a zip of .npy files that aren't compressed, so that `numpy.load` reads them.
 * Sources: numpy/lib/format.py (version 1.0), and APPNOTE.TXT of PKWARE, sections 4.3 and 4.4.
 */
import type { DataType } from '../../shared/graph/index.js';
import type { OutputTensor } from '../engine/wire/protocol.js';
import { crc32 } from '../files/crc32.js';

/** NumPy's names of little-endian types. */
const DESCRIPTIONS: Readonly<Partial<Record<DataType, string>>> = {
  ...{ float32: '<f4', float64: '<f8', float16: '<f2', bool: '|b1' },
  ...{ int8: '|i1', uint8: '|u1', int16: '<i2', uint16: '<u2' },
  ...{ int32: '<i4', uint32: '<u4', int64: '<i8', uint64: '<u8' },
};

/** @throws {RangeError} naming the tensor, if it has no values, or if all are too large for a zip. */
export function npzOf(tensors: readonly OutputTensor[]): Buffer {
  return zipOf(tensors.map((tensor) => ({ name: `${fileName(tensor.name)}.npy`, content: npyOf(tensor) })));
}

/** Names of outputs may hold slashes, which would be folders. */
function fileName(name: string): string {
  return name.replace(/[^\w.:-]/g, '_');
}

/** Length that a header is a multiple of. */
const ALIGNMENT = 64;

function npyOf({ name, dtype, shape, bytes }: OutputTensor): Buffer {
  const description = DESCRIPTIONS[dtype];
  if (bytes === undefined || description === undefined)
    throw new RangeError(`Cannot write output "${name}": ${dtype} values, expected numbers`);
  const size = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${description}', 'fortran_order': False, 'shape': (${size}), }`;
  const magic = Buffer.from('\x93NUMPY\x01\x00', 'latin1');
  const length = Math.ceil((magic.length + 2 + text.length + 1) / ALIGNMENT) * ALIGNMENT - magic.length - 2;
  const header = Buffer.from(`${text.padEnd(length - 1)}\n`, 'latin1');
  const count = Buffer.alloc(2);
  count.writeUInt16LE(header.length);
  return Buffer.concat([magic, count, header, bytes]);
}

interface ZipEntry {
  readonly name: string;
  readonly content: Buffer;
}

/** Without extensions for large files a zip ends here. */
const MAX_ZIP_BYTES = 2 ** 32 - 2;

function zipOf(entries: readonly ZipEntry[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content } of entries) {
    const path = Buffer.from(name);
    // Version, flags, method, time and date (1980-01-01), checksum, both sizes, length of the name, no extra field.
    const facts = Buffer.alloc(26);
    facts.writeUInt16LE(20, 0);
    facts.writeUInt16LE(0x21, 8);
    facts.writeUInt32LE(crc32(content), 10);
    facts.writeUInt32LE(content.length, 14);
    facts.writeUInt32LE(content.length, 18);
    facts.writeUInt16LE(path.length, 22);
    const local = Buffer.concat([signature(0x04034b50), facts, path, content]);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([signature(0x02014b50), Buffer.from([20, 0]), facts, place, path]));
    parts.push(local);
    offset += local.length;
    if (offset > MAX_ZIP_BYTES)
      throw new RangeError(`Cannot write outputs: more than ${MAX_ZIP_BYTES} bytes`);
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...parts, central, signature(0x06054b50), end]);
}

function signature(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
