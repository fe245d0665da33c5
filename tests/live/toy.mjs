// What PyTorch and transformers say, as tests/test_live.py wrote it down; and how far two lists of numbers are apart.

import { readFileSync } from "node:fs";

const { DIFFLAB_TOY } = process.env;
if (!DIFFLAB_TOY) throw new Error("Run these through pytest, tests/test_live.py: which asks PyTorch.");

export const toy = JSON.parse(readFileSync(DIFFLAB_TOY));

export const apart = (one, other) => {
  if (one.length !== other.length) return Infinity;
  return Math.max(...Array.from(one, (value, i) => Math.abs(value - other[i]))); // NaN, where there is one
};
