import assert from "node:assert/strict";
import test from "node:test";

import { generator, randn } from "../../book/_static/live/rng.mjs";
import { apart, toy } from "./toy.mjs";

test("randn gives PyTorch's numbers, draw after draw", () => {
  for (const { seed, draws } of toy.randn) {
    const random = generator(seed);
    for (const values of draws) assert.ok(apart(randn(values.length, random), values) < 1e-5, `${seed}`);
  }
});

test("a seed is a whole number from 0 up", () => {
  for (const seed of [-1, 0.5, NaN, 2 ** 60]) assert.throws(() => generator(seed), /whole number/);
});
