import type { DeviceProfile, Work } from './device-profile.js';

/**
 * Costs of one core of an x86-64 server with AVX-512, for a device that hasn't been measured: plans are compared
 * rightly where its kernels are to each other as there, and latencies are wrong by what it is slower.
 *
 * Fitted to 25 plans of YOLOv2 (layers 0-15 at 608 and 320, whole at 416) and Yolo-Fastest at level `extended`, one
 * thread: median error 5 %. For two threads multiplying is taken to be 1.8 times as fast; that isn't measured.
 */
const SPEEDUP = 1.85;

const PLAIN: Work = {
  steps: 160_000,
  calls: 2500,
  pointwiseMacs: 0.025,
  denseMacs: 0.025,
  groupedMacs: 0.4,
  columnBytes: 0.1,
  weightBytes: 0.05,
  movedBytes: 0.03,
  copiedBytes: 0.6,
  faultedBytes: 0.3,
};

const BLOCKED: Work = { ...PLAIN, groupedMacs: 0.25, columnBytes: 0.07, movedBytes: 0.05 };

/** What kernels compute is shared; copies, faults and calls are not. */
function byTwo(costs: Work): Work {
  const { pointwiseMacs, denseMacs, groupedMacs, columnBytes } = costs;
  return {
    ...costs,
    pointwiseMacs: pointwiseMacs / SPEEDUP,
    denseMacs: denseMacs / SPEEDUP,
    groupedMacs: groupedMacs / SPEEDUP,
    columnBytes: columnBytes / SPEEDUP,
  };
}

export const BUILT_IN_PROFILE: DeviceProfile = {
  source: 'built-in',
  entries: [
    { kernels: 'plain', threads: 1, costs: PLAIN },
    { kernels: 'blocked', threads: 1, costs: BLOCKED },
    { kernels: 'plain', threads: 2, costs: byTwo(PLAIN) },
    { kernels: 'blocked', threads: 2, costs: byTwo(BLOCKED) },
  ],
};
