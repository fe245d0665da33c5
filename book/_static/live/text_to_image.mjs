// Text to image, as in difflab/applications/text_to_image.py: the loop with only its text opening filled.

import { classifierFreeGuidance } from "./guidance.mjs";
import { sample } from "./loop.mjs";
import { generator, randn } from "./rng.mjs";
import { byName } from "./samplers.mjs";

/**
 * The picture of what the prompt says, step by step: yields what `sample` does.
 * model: { schedule, latentSize, encodeText, predictNoise }.
 */
export async function* textToLatents(model, { prompt, negative, steps, guidance, sampler, seed }) {
  checkSaid(prompt, guidance);
  const random = generator(seed);
  const walk = byName(sampler)(model.schedule, steps, { generator: random });
  const x = randn(model.latentSize, random);
  yield* sample(await guided(model, prompt, negative, guidance), x, walk);
}

/** predictNoise(x, t), given what to draw and what to move away from. */
export async function guided(model, prompt, negative, guidance) {
  const [text, nothing] = [await model.encodeText(prompt), await model.encodeText(negative)];
  return classifierFreeGuidance(model.predictNoise, text, nothing, guidance);
}

/** A prompt without a word is an error, unless the guidance scale is 0 and text plays no part. */
export function checkSaid(prompt, guidance) {
  if (guidance !== 0 && !prompt.trim()) throw new RangeError("The prompt is empty: say in words what is wanted.");
}
