/**
 * The motion model of SORT: a Kalman filter with constant velocity on [u, v, s, r] of a box, its centre, area and aspect
 * ratio (width / height, without velocity).
 * Source: Bewley et al., "Simple Online and Realtime Tracking" (2016), section 3.2; the noise is that of its code.
 *
 * The paper's filter has a state of 7 and matrices of 7x7. All of its noise is diagonal, and a velocity moves its own
 * component only, so that the matrices stay block-diagonal. Here each block is a filter of its own, with the same result.
 *
 * Gains depend on ratios of the noise alone, so the filter may count in pixels or in parts of the picture.
 */
import type { Box } from '../decode/detection.js';

/** Variances of one component: of a measurement, of what a step adds, and at the start. */
interface Noise {
  readonly measured: number;
  readonly step: number;
  readonly velocityStep: number;
  readonly first: number;
  readonly firstVelocity: number;
}

const CENTER: Noise = { measured: 1, step: 1, velocityStep: 0.01, first: 10, firstVelocity: 10_000 };
const AREA: Noise = { measured: 10, step: 1, velocityStep: 0.0001, first: 10, firstVelocity: 10_000 };
const RATIO: Noise = { measured: 10, step: 1, velocityStep: 0, first: 10, firstVelocity: 0 };

/** One component with its velocity. */
export class ComponentFilter {
  value: number;
  velocity = 0;
  readonly #noise: Noise;
  /** Covariance of value and velocity. */
  #valueVariance: number;
  #covariance = 0;
  #velocityVariance: number;

  constructor(value: number, noise: Noise) {
    this.value = value;
    this.#noise = noise;
    this.#valueVariance = noise.first;
    this.#velocityVariance = noise.firstVelocity;
  }

  /** @param steps since the last prediction; a part of one is allowed. */
  predict(steps: number): void {
    const { step, velocityStep } = this.#noise;
    this.value += this.velocity * steps;
    this.#valueVariance += 2 * steps * this.#covariance + steps ** 2 * this.#velocityVariance + steps * step;
    this.#covariance += steps * this.#velocityVariance;
    this.#velocityVariance += steps * velocityStep;
  }

  correct(measured: number): void {
    const total = this.#valueVariance + this.#noise.measured;
    const gain = this.#valueVariance / total;
    const velocityGain = this.#covariance / total;
    const surprise = measured - this.value;
    this.value += gain * surprise;
    this.velocity += velocityGain * surprise;
    this.#velocityVariance -= velocityGain * this.#covariance;
    this.#covariance *= 1 - gain;
    this.#valueVariance *= 1 - gain;
  }
}

export class BoxFilter {
  readonly #centerX: ComponentFilter;
  readonly #centerY: ComponentFilter;
  readonly #area: ComponentFilter;
  readonly #ratio: ComponentFilter;

  /** @param box with a width and a height above 0, as all boxes here. */
  constructor(box: Box) {
    this.#centerX = new ComponentFilter(box.centerX, CENTER);
    this.#centerY = new ComponentFilter(box.centerY, CENTER);
    this.#area = new ComponentFilter(box.width * box.height, AREA);
    this.#ratio = new ComponentFilter(box.width / box.height, RATIO);
  }

  /** The box as it is believed to be now. */
  get box(): Box {
    const width = Math.sqrt(this.#area.value * this.#ratio.value);
    return {
      centerX: this.#centerX.value,
      centerY: this.#centerY.value,
      width,
      height: this.#area.value / width,
    };
  }

  /** Moves the box on by some frames. */
  predict(steps: number): void {
    // An area that shrinks would fall below 0 some day.
    if (this.#area.value + this.#area.velocity * steps <= 0) this.#area.velocity = 0;
    for (const component of [this.#centerX, this.#centerY, this.#area, this.#ratio]) component.predict(steps);
  }

  /** Takes in where the box was seen. */
  correct({ centerX, centerY, width, height }: Box): void {
    this.#centerX.correct(centerX);
    this.#centerY.correct(centerY);
    this.#area.correct(width * height);
    this.#ratio.correct(width / height);
  }
}
