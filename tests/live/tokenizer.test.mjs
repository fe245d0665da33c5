import assert from "node:assert/strict";
import test from "node:test";

import { tokenizer, wordsOf } from "../../book/_static/live/tokenizer.mjs";
import { toy } from "./toy.mjs";

const { vocabulary, special, texts, places } = toy.tokenizer;
const { prompt, positions } = tokenizer(vocabulary, special);

test("every text has the ids that CLIPTokenizer gives it", () => {
  for (const { text, ids } of texts) assert.deepEqual([...prompt(text).ids], ids, JSON.stringify(text));
});

test("a word is found where attention.token_positions finds it", () => {
  for (const { text, word, found } of places) assert.deepEqual(positions(text, word), found, `${word} in ${text}`);
});

test("a prompt is cut into the words that can be clicked", () => {
  assert.deepEqual(wordsOf("A cat's hat, at NIGHT!"), ["a", "cat", "'s", "hat", ",", "at", "night", "!"]);
});
