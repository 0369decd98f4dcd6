/**
 * A file of procfs or sysfs that is read again and again through one descriptor: the kernel writes its text anew for
 * each read from the start. A read took 1 to 7 us where opening, reading and closing took 8 to 24 us (x86-64).
 */
import { closeSync, openSync, readSync } from 'node:fs';

/** Longer than every file that is read; memory.stat, the longest, has 2 to 4 KiB. */
const BUFFER = Buffer.alloc(16_384);

export class KernelFile {
  readonly #path: string;
  /** Null once the file turned out to be absent: kernels don't gain files while they run. */
  #descriptor: number | null | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** The text as it is now; undefined if the file is absent, can't be read, or went with its group. */
  read(): string | undefined {
    if (this.#descriptor === undefined) this.#descriptor = openIfPresent(this.#path);
    try {
      if (this.#descriptor === null) return undefined;
      return BUFFER.toString('utf8', 0, readSync(this.#descriptor, BUFFER, 0, BUFFER.length, 0));
    } catch {
      // ENODEV: the group has gone. EOPNOTSUPP: PSI is switched off.
      return undefined;
    }
  }

  /** The next read opens it again. */
  close(): void {
    if (typeof this.#descriptor === 'number') closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

function openIfPresent(path: string): number | null {
  try {
    return openSync(path, 'r');
  } catch {
    // Not only ENOENT: EACCES in containers.
    return null;
  }
}
