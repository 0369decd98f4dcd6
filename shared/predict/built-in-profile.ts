/** This file holds the costs that stand in for those of a device that hasn't been measured. */

import type { DeviceProfile } from './device-profile.js';

/**
 * Nanoseconds a unit of work on an x86-64 server with AVX2 (AMD EPYC, third generation). They are rounded means of
 * four runs of `mafat calibrate`. More than two threads count as two.
 *
 * On another device plans are compared rightly where its kernels are in the same ratio to each other. Latencies
 * are wrong by the factor that the device is slower.
 */
export const BUILT_IN_PROFILE: DeviceProfile = {
  source: 'built-in',
  entries: [
    {
      kernels: 'plain',
      threads: 1,
      costs: {
        steps: 165_000,
        calls: 2900,
        pointwiseMacs: 0.0365,
        denseMacs: 0.0214,
        groupedMacs: 0.52,
        columnBytes: 0.164,
        weightBytes: 0.051,
        movedBytes: 0.029,
        copiedBytes: 0.4,
        faultedBytes: 0.34,
        hugeBytes: 0.083,
      },
    },
    {
      kernels: 'plain',
      threads: 2,
      costs: {
        steps: 205_000,
        calls: 2500,
        pointwiseMacs: 0.0245,
        denseMacs: 0.0118,
        groupedMacs: 0.385,
        columnBytes: 0.097,
        weightBytes: 0.051,
        movedBytes: 0.037,
        copiedBytes: 0.5,
        faultedBytes: 0.2,
        hugeBytes: 0.085,
      },
    },
    {
      kernels: 'blocked',
      threads: 1,
      costs: {
        steps: 145_000,
        calls: 2350,
        pointwiseMacs: 0.0165,
        denseMacs: 0.0205,
        groupedMacs: 0.25,
        columnBytes: 0.092,
        weightBytes: 0.0456,
        movedBytes: 0.0236,
        copiedBytes: 0.395,
        faultedBytes: 0.177,
        hugeBytes: 0.083,
      },
    },
    {
      kernels: 'blocked',
      threads: 2,
      costs: {
        steps: 207_000,
        calls: 3200,
        pointwiseMacs: 0.0092,
        denseMacs: 0.0112,
        groupedMacs: 0.225,
        columnBytes: 0.0538,
        weightBytes: 0.045,
        movedBytes: 0.032,
        copiedBytes: 0.49,
        faultedBytes: 0.265,
        hugeBytes: 0.094,
      },
    },
  ],
};
