/** A process that takes memory from the service. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { present } from '../shared/graph/index.js';
import type { MemoryGroup } from './cgroup.js';

/** A process, in the group if there is one. The kernel spares it, where its score may be lowered; else it may be killed itself. */
export class Neighbour {
  readonly #child = fork(fileURLToPath(new URL('./neighbour-process.js', import.meta.url)));

  constructor(group?: MemoryGroup) {
    const pid = present(this.#child.pid, 'process id of the neighbour');
    try {
      writeFileSync(`/proc/${pid}/oom_score_adj`, '-1000');
    } catch (error) {
      // In a container root may lack CAP_SYS_RESOURCE.
      if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    }
    group?.add(pid);
  }

  /** Begins to take memory. */
  take(bytes: number): void {
    this.#child.send(bytes);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
