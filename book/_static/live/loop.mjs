// The one loop, as in difflab/loop.py. Everything these pages draw is this loop with something put into its openings.

/**
 * Walk x from noise to picture, yielding { t, next, x, x0, eps } after each step; whoever walks it may stop early.
 * predictNoise: async (x, t) -> eps. sampler: from samplers.mjs.
 */
export async function* sample(predictNoise, x, { walk, begin }) {
  const advance = begin(); // what a solver remembers begins anew with every walk
  for (const [t, next] of walk) {
    const eps = await predictNoise(x, t);
    const [after, x0] = advance(x, t, eps);
    x = after;
    yield { t, next, x, x0, eps };
  }
}
