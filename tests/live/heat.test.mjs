import assert from "node:assert/strict";
import test from "node:test";

import { lit, stretched } from "../../book/_static/live/heat.mjs";
import { apart, toy } from "./toy.mjs";

const { map, size, large, picture, shown } = toy.heat;

test("a map is stretched as torch's bilinear interpolation does", () => {
  assert.ok(apart(stretched(map, size), large) < 1e-5);
});

test("it lies over the picture as in show.heat, to a few shades", () => {
  assert.ok(apart(lit(Uint8ClampedArray.from(picture), map), shown) <= 8);
});
