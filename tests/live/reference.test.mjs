// The exported files, and what Python drew with them: needs the built book.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { gunzipSync } from "node:zlib";

import { load, partsOf } from "../../book/_static/live/model.mjs";
import { generator, randn } from "../../book/_static/live/rng.mjs";
import { noiseSchedule } from "../../book/_static/live/schedule.mjs";
import { sdeditToLatents } from "../../book/_static/live/sdedit.mjs";
import { textToLatents } from "../../book/_static/live/text_to_image.mjs";
import { tokenizer } from "../../book/_static/live/tokenizer.mjs";
import { apart, toy } from "./toy.mjs";

const { DIFFLAB_LIVE } = process.env;
const read = (name) => readFileSync(`${DIFFLAB_LIVE}/${name}`);
const unpacked = (name) => new Uint8Array(gunzipSync(read(name)));
const skip = !DIFFLAB_LIVE && "the book is not built: make book";
const manifest = skip ? {} : JSON.parse(read("manifest.json"));
const { reference } = toy;

test("noise, tokens and timesteps are the reference's", { skip }, () => {
  for (const { seed, shape, draws } of reference.randn) {
    const random = generator(seed);
    const size = shape.reduce((a, b) => a * b);
    for (const { first, last, sum } of draws) {
      const values = randn(size, random);
      assert.ok(apart(values.subarray(0, first.length), first) < 1e-5);
      assert.ok(apart(values.subarray(-last.length), last) < 1e-5);
      assert.ok(Math.abs(values.reduce((a, b) => a + b) - sum) < 1e-2);
    }
  }
  const { start_id: startId, end_id: endId, pad_id: padId, window } = manifest;
  const vocabulary = JSON.parse(new TextDecoder().decode(unpacked(manifest.files.tokenizer.file)));
  const { prompt } = tokenizer(vocabulary, { startId, endId, padId, window });
  assert.ok(reference.tokens.length >= 50);
  for (const { text, ids } of reference.tokens) assert.deepEqual([...prompt(text).ids], ids, JSON.stringify(text));

  const schedule = noiseSchedule(manifest.alphas_cumprod, { spacing: manifest.timestep_spacing });
  for (const [n, { all, drop_last }] of Object.entries(reference.timesteps)) {
    assert.deepEqual(schedule.timesteps(Number(n)), all);
    assert.deepEqual(schedule.timesteps(Number(n), true), drop_last);
  }
});

const cannot = skip || (!manifest.runtime && "the book was built without npm, so there is no runtime");

test("whole drawings, in WebAssembly, end where they end in Python", { skip: cannot }, async () => {
  const parts = partsOf(manifest);
  const ort = await import(`${DIFFLAB_LIVE}/${manifest.runtime.script.file}`);
  const model = await load(ort, manifest, async (name) => unpacked(parts[name].file));
  const watched = { ...model, predictNoise: async (...question) => (await model.look(...question)).eps };

  assert.ok(reference.drawings.length >= 5);
  for (const { kind, picture, final, ...own } of reference.drawings) {
    const settings = { ...own, negative: own.negative_prompt, guidance: own.guidance_scale };
    let steps = textToLatents(watched, settings);
    if (kind === "sdedit") {
      const stored = manifest.stored.find(({ name }) => name === picture);
      const latent = new Float32Array(Uint8Array.from(read(stored.latent)).buffer);
      steps = sdeditToLatents(watched, { ...settings, latent });
    }
    let last;
    for await (last of steps);
    assert.ok(apart(last.x, final) < 1e-3, `${kind} ${own.sampler}: ${apart(last.x, final)}`);
  }
});
