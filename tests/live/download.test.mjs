import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test, { beforeEach } from "node:test";
import { gzipSync } from "node:zlib";

import { isKept, keepOnly, unpacked } from "../../book/_static/live/download.mjs";

const contents = new Uint8Array(3000).map((_, i) => i % 7);
const packed = gzipSync(contents);
const sha256 = createHash("sha256").update(packed).digest("hex");
const file = { bytes: packed.length, unpacked: contents.length, sha256 };
const url = "https://example.org/book/unet.gz";

let [served, asked, shelf] = [];

/** A stand-in for the browser's store. */
function store() {
  const kept = new Map();
  return {
    match: async (url) => kept.get(url)?.clone(),
    put: async (url, response) => void kept.set(url, response),
    keys: async () => [...kept.keys()].map((url) => ({ url })),
    delete: async ({ url }) => kept.delete(url),
  };
}

beforeEach(() => {
  [served, asked, shelf] = [new Response(packed), 0, store()];
  globalThis.fetch = async () => ((asked += 1), served.clone());
  globalThis.caches = { open: async () => shelf };
});

test("a file is downloaded once, told of byte by byte, and unpacked", async () => {
  let told = 0;
  const count = (bytes) => (told += bytes);
  assert.equal(await isKept([url]), false);
  assert.deepEqual(await unpacked(url, file, count), contents);
  assert.equal(await isKept([url]), true);
  assert.deepEqual(await unpacked(url, file, count), contents);
  assert.deepEqual([asked, told], [1, 2 * packed.length]);
});

test("a server that unpacks by itself will do, and so will a browser that keeps nothing", async () => {
  served = new Response(contents);
  assert.deepEqual(await unpacked(url, file), contents);
  for (const without of [undefined, { open: () => Promise.reject(new Error("not in private windows")) }]) {
    globalThis.caches = without;
    assert.deepEqual(await unpacked(url, file), contents);
    assert.equal(await isKept([url]), false);
    await keepOnly([], "https://example.org/");
  }
});

test("a full disk is no reason to stop", async () => {
  shelf.put = () => Promise.reject(new Error("quota"));
  assert.deepEqual(await unpacked(url, file), contents);
});

test("what is missing, cut off or damaged is refused, and not kept", async () => {
  const damaged = Uint8Array.from(packed);
  damaged[40] ^= 1;
  const wrong = [
    [new Response("no", { status: 404 }), /404/],
    [new Response(packed.subarray(0, -9)), /not complete/],
    [new Response(damaged), /damaged/],
  ];
  for (const [answer, words] of wrong) {
    served = answer;
    await assert.rejects(unpacked(url, file), words);
    assert.equal(await isKept([url]), false);
  }
});

test("older versions are let go, another book's files are not", async () => {
  for (const name of ["book/unet.gz", "book/old.gz", "other/unet.gz"]) {
    await unpacked(`https://example.org/${name}`, file);
  }
  await keepOnly([url], "https://example.org/book/");
  assert.deepEqual((await shelf.keys()).map((request) => request.url.slice(20)), ["book/unet.gz", "other/unet.gz"]);
});
