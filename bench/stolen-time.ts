/** Time that a hypervisor gave to other machines while this one had work to do. */
import { readFileSync } from 'node:fs';

export interface ProcessorTimes {
  /** In ticks, of all processors since the start. */
  readonly busy: number;
  readonly stolen: number;
}

/** Position of a field of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal. See proc(5). */
const FIELDS = { user: 0, nice: 1, system: 2, irq: 5, softirq: 6, steal: 7 } as const;

export function readProcessors(): ProcessorTimes {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const ticks = line.trim().split(/\s+/).slice(1).map(Number);
  const at = (field: keyof typeof FIELDS) => ticks[FIELDS[field]] ?? 0;
  return {
    busy: at('user') + at('nice') + at('system') + at('irq') + at('softirq'),
    stolen: at('steal'),
  };
}

/** Stolen over all that was wanted between two readings: 0 to 1. */
export function stolenRatio(before: ProcessorTimes, after: ProcessorTimes): number {
  const stolen = after.stolen - before.stolen;
  const wanted = stolen + after.busy - before.busy;
  return wanted === 0 ? 0 : stolen / wanted;
}
