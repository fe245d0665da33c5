import assert from "node:assert/strict";
import test from "node:test";

import { classifierFreeGuidance } from "../../book/_static/live/guidance.mjs";
import { sample } from "../../book/_static/live/loop.mjs";
import { generator, randn } from "../../book/_static/live/rng.mjs";
import { byName, firstStep } from "../../book/_static/live/samplers.mjs";
import { noiseSchedule } from "../../book/_static/live/schedule.mjs";
import { sdeditToLatents } from "../../book/_static/live/sdedit.mjs";
import { textToLatents } from "../../book/_static/live/text_to_image.mjs";
import { apart, toy } from "./toy.mjs";

const { abar, timesteps, walks, drawn, first } = toy.schedule;

/** The network of the toy: what it answers depends on x, t and the text, and is not linear. */
const network = (x, t, text) => x.map((value, i) => 0.5 * value + 0.3 * Math.sin(3 * value + text[i]) + t / 5000);

const model = {
  schedule: noiseSchedule(abar),
  latentSize: 64,
  encodeText: async (prompt) => new Float32Array(64).fill(prompt.length / 10),
  predictNoise: async (xs, t, texts) => xs.map((x, i) => network(x, t, texts[i])),
};

async function end(steps) {
  let [turns, last] = [0, null];
  for await (last of steps) turns += 1;
  return { turns, last };
}

test("timesteps are the package's, whatever their number and spacing", () => {
  for (const { spacing, offset, n, all, dropped } of timesteps) {
    const schedule = noiseSchedule(abar, { spacing, offset });
    assert.deepEqual(schedule.timesteps(n), all, `${spacing}, ${n}`);
    assert.deepEqual(schedule.timesteps(n, true), dropped, `${spacing}, ${n}, the last left out`);
  }
});

test("every sampler walks where the package's walks, from every start", async () => {
  for (const { sampler, n, start, seed, spacing, end: clean, final } of walks) {
    const random = generator(seed);
    const x = randn(64, random);
    const walk = byName(sampler)(noiseSchedule(abar, { spacing, end: clean }), n, { generator: random, start });
    const { turns, last } = await end(sample(async (x, t) => network(x, t, x), x, walk));
    assert.equal(turns, n - start);
    assert.equal(last.next, -1);
    assert.ok(apart(last.x, final) < 1e-4, `${sampler}, ${n} steps from ${start}: ${apart(last.x, final)}`);
  }
});

test("whole drawings agree: text to image and SDEdit, with guidance and without", async () => {
  for (const { latent, final, ...settings } of drawn) {
    const edit = () => sdeditToLatents(model, { ...settings, latent: Float32Array.from(latent) });
    const { last } = await end(latent ? edit() : textToLatents(model, settings));
    assert.ok(apart(last.x, final) < 1e-4, `${JSON.stringify(settings)}: ${apart(last.x, final)}`);
  }
});

test("a strength leaves out the steps that samplers.first_step leaves out", () => {
  for (const { steps, strength, left } of first) assert.equal(firstStep(steps, strength), left);
});

test("at guidance 0 and 1 only one question is asked", async () => {
  const asked = [];
  const ask = async (xs, t, texts) => (asked.push(texts), xs.map((x, i) => x.map(() => texts[i])));
  const x = new Float32Array(1);
  for (const [scale, texts, eps] of [[0, [7], 7], [1, [3], 3], [5, [7, 3], -13]]) {
    assert.equal((await classifierFreeGuidance(ask, 3, 7, scale)(x, 0))[0], eps);
    assert.deepEqual(asked.pop(), texts);
  }
});

test("what makes no sense is refused in words", async () => {
  const good = { prompt: "a cat", negative: "", steps: 2, guidance: 2, sampler: "ddim", seed: 0, strength: 0.5 };
  const wrong = { prompt: " ", steps: 1001, guidance: NaN, sampler: "heun", seed: -1, strength: 1.1 };
  for (const [name, value] of Object.entries(wrong)) {
    const latent = new Float32Array(64);
    await assert.rejects(end(sdeditToLatents(model, { ...good, latent, [name]: value })), RangeError, name);
  }
  await end(textToLatents(model, { ...good, prompt: "", guidance: 0 })); // text plays no part: nothing need be said
});

test("two walks of one sampler, taken by turns, do not disturb each other", async () => {
  const sampler = byName("dpm++")(noiseSchedule(abar), 6, {});
  const ask = async (x, t) => network(x, t, x);
  const [one, other] = [1, 2].map((seed) => randn(64, generator(seed)));
  const alone = await Promise.all([one, other].map((x) => end(sample(ask, x, sampler))));
  const [a, b] = [sample(ask, one, sampler), sample(ask, other, sampler)];
  let [left, right] = [null, null];
  for (let i = 0; i < 6; i += 1) [left, right] = [(await a.next()).value, (await b.next()).value];
  assert.deepEqual([left.x, right.x], alone.map(({ last }) => last.x));
});
