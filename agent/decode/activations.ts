/** Functions that turn scores into probabilities. */

export function logistic(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

export function softmax(scores: readonly number[]): readonly number[] {
  const highest = scores.reduce((best, score) => Math.max(best, score), Number.NEGATIVE_INFINITY);
  const powers = scores.map((score) => Math.exp(score - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
