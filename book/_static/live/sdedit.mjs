// SDEdit, as in difflab/applications/sdedit.py: the loop with its start opening filled by a picture. Meng et al. 2022 (2108.01073).

import { sample } from "./loop.mjs";
import { generator, randn } from "./rng.mjs";
import { byName, firstStep } from "./samplers.mjs";
import { checkSaid, guided } from "./text_to_image.mjs";

/**
 * The picture changed toward the prompt, step by step: yields what `sample` does, and once at strength 0.
 * latent: the picture's. strength: 0 to 1, the fraction of the steps that are taken.
 */
export async function* sdeditToLatents(
  model,
  { latent, prompt, negative, strength, steps, guidance, sampler, seed },
) {
  checkSaid(prompt, guidance);
  const start = firstStep(steps, strength);
  if (start === steps) {
    yield { t: -1, next: -1, x: latent, x0: latent }; // no step is taken: the clean end is where it begins
    return;
  }
  const random = generator(seed);
  const chosen = byName(sampler)(model.schedule, steps, { generator: random, start });
  const noise = randn(model.latentSize, random);
  const x = start === 0 ? noise : model.schedule.addNoise(latent, noise, chosen.walk[0][0]); // at strength 1 pure noise
  yield* sample(await guided(model, prompt, negative, guidance), x, chosen);
}
