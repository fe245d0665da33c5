// The noise schedule, as in difflab/schedule.py: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps.

/** a x + b y, number by number. */
export const mix = (a, x, b, y) => x.map((value, i) => a * value + b * y[i]);

/** Python's round: halves go to the even neighbor. */
const round = (value) => (value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));

/**
 * The table of alpha bar, and the rule that picks a few timesteps out of it.
 * abar: T falling numbers. spacing: "trailing", "leading" or "linspace". offset: added to "leading" timesteps.
 * end: alpha bar of the clean end, t = -1.
 */
export function noiseSchedule(abar, { spacing = "trailing", offset = 0, end = 1 } = {}) {
  const T = abar.length;
  const alphaBar = (t) => (t < 0 ? end : abar[t]);

  const addNoise = (x0, noise, t) => mix(Math.sqrt(alphaBar(t)), x0, Math.sqrt(1 - alphaBar(t)), noise);

  const predictX0 = (x, t, eps) => mix(1 / Math.sqrt(alphaBar(t)), x, -Math.sqrt(1 / alphaBar(t) - 1), eps);

  /** n falling timesteps. dropLast: of n + 1 timesteps the last is left out ("trailing" is not affected). */
  function timesteps(n, dropLast = false) {
    if (!Number.isInteger(n) || n < 1 || n > T) {
      throw new RangeError(`The number of steps is ${n}: it has to be a whole number from 1 to ${T}.`);
    }
    const falling = (count, t) => Array.from({ length: count }, (_, k) => t(k));
    if (spacing === "trailing") return falling(n, (k) => round(T - k * (T / n)) - 1);
    const points = Math.min(n + dropLast, T);
    if (spacing === "leading") {
      const gap = Math.floor(T / points);
      const shift = Math.min(offset, T - 1 - (points - 1) * gap);
      return falling(n, (k) => (points - 1 - k) * gap + shift);
    }
    const gap = points > 1 ? (T - 1) / (points - 1) : 0;
    return falling(n, (k) => round(T - 1 - k * gap));
  }

  return { alphaBar, addNoise, predictX0, timesteps };
}
