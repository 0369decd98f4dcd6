/** Reads how much processor time a hypervisor gave to other machines while this one had work to do. */
import { readFileSync } from 'node:fs';
import { elementAt } from '../shared/graph/index.js';

interface ProcessorTimes {
  /** Ticks of work of all processors since the machine started. */
  readonly busy: number;
  /** Ticks that the hypervisor gave to other machines. */
  readonly stolen: number;
}

/** Positions of fields of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal. Source: proc(5). */
const FIELDS = { user: 0, nice: 1, system: 2, irq: 5, softirq: 6, steal: 7 } as const;

export function readProcessors(): ProcessorTimes {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const ticks = line.trim().split(/\s+/).slice(1).map(Number);
  const at = (field: keyof typeof FIELDS) => elementAt(ticks, FIELDS[field]);
  return {
    busy: at('user') + at('nice') + at('system') + at('irq') + at('softirq'),
    stolen: at('steal'),
  };
}

/** Share of the wanted processor time that was stolen between two readings, from 0 to 1. */
export function stolenRatio(before: ProcessorTimes, after: ProcessorTimes): number {
  const stolen = after.stolen - before.stolen;
  const wanted = stolen + after.busy - before.busy;
  return wanted === 0 ? 0 : stolen / wanted;
}
