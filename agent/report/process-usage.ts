/** CPU and memory of the agent and its executor, for people. Percentages are since the last call. */
import pidusage from 'pidusage';

export interface ProcessUsage {
  readonly pid: number;
  readonly name: 'agent' | 'executor';
  readonly cpuPercent: number;
  readonly rssBytes: number;
}

interface Usage {
  readonly cpu: number;
  readonly memory: number;
}

/**
 * A process that has just ended, or a system without its tools, costs the table alone.
 * @param executorPid null while there is no executor.
 */
export async function readProcesses(executorPid: number | null): Promise<readonly ProcessUsage[]> {
  const pids = executorPid === null ? [process.pid] : [process.pid, executorPid];
  // pidusage gives null or undefined for a process that is gone, which its types don't say.
  const usage: Readonly<Record<string, Usage | null | undefined>> = await pidusage(pids).catch(() => ({}));
  return Object.entries(usage).flatMap(([pid, used]) => {
    if (used === null || used === undefined) return [];
    const name = Number(pid) === executorPid ? 'executor' : 'agent';
    return [{ pid: Number(pid), name, cpuPercent: used.cpu, rssBytes: used.memory }];
  });
}
