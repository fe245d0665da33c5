// Classifier-free guidance, as in difflab/guidance.py: eps = eps_uncond + scale (eps_cond - eps_uncond).

import { mix } from "./schedule.mjs";

/**
 * Close over the text: returns predictNoise(x, t) -> eps, guided.
 * predictNoise: (xs, t, texts) -> epsilons, lists of equal length: one question each.
 * Both questions are asked in one call; at scale 0 or 1 only one of them matters and is asked.
 */
export function classifierFreeGuidance(predictNoise, text, negative, scale) {
  if (!Number.isFinite(scale)) throw new RangeError(`The guidance scale is ${scale}: it has to be a number.`);
  return async (x, t) => {
    if (scale === 0 || scale === 1) return (await predictNoise([x], t, [scale === 1 ? text : negative]))[0];
    const [uncond, cond] = await predictNoise([x, x], t, [negative, text]);
    return mix(1 - scale, uncond, scale, cond);
  };
}
