import type { DeviceProfile, Work } from './device-profile.js';

/**
 * Costs of an x86-64 server with AVX2 (AMD EPYC, third generation), for a device that hasn't been measured: plans are
 * compared rightly where its kernels are to each other as there, and latencies are wrong by what it is slower. Rounded
 * from `mafat calibrate`, and for 3x3 convolutions from bench/latency-memory; two threads as one, but for what kernels
 * compute.
 */
const SPEEDUP = 1.75;

const PLAIN: Work = {
  steps: 200_000,
  calls: 2600,
  pointwiseMacs: 0.035,
  denseMacs: 0.026,
  groupedMacs: 0.45,
  columnBytes: 0.15,
  weightBytes: 0.055,
  movedBytes: 0.045,
  copiedBytes: 0.6,
  faultedBytes: 0.33,
  hugeBytes: 0.08,
};

const BLOCKED: Work = {
  ...PLAIN,
  pointwiseMacs: 0.015,
  denseMacs: 0.0225,
  groupedMacs: 0.34,
  columnBytes: 0.085,
};

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
