// Everything that takes time happens here, beside the page, so that the page never stands still.
//
// In:  { do: "load", base, manifest }, { do: "draw", id, settings }, { do: "stop" }
// Out: { is: "loading", bytes } (so many more have come), { is: "ready" },
//      { is: "step", id, share, preview }, then one of { is: "drawn", id, picture, ... }, { is: "abandoned", id } and
//      { is: "failed", id, message, yours }, which without an id is about the loading

import { keepOnly, unpacked } from "./download.mjs";
import { load, once, partsOf } from "./model.mjs";
import { sdeditToLatents } from "./sdedit.mjs";
import { textToLatents } from "./text_to_image.mjs";
import { wordsOf } from "./tokenizer.mjs";

const PREVIEWS = 0.25; // the share of the time that may go into looking at unfinished pictures

let model = null;
let manifest = null;
let base = null;
let wanted = null; // the id of the one drawing that is still wanted
let queue = Promise.resolve(); // one thing after the other

self.onmessage = ({ data }) => {
  if (data.do !== "load") wanted = data.id ?? null;
  const task = { load: prepare, draw }[data.do];
  if (task) queue = queue.then(() => task(data)).catch((error) => failed(data.id, error));
};

/** yours: whether what was asked for is at fault; then something else may be asked for, and nothing is broken. */
function failed(id, error) {
  postMessage({ is: "failed", id, message: error.message, yours: error instanceof RangeError });
}

async function prepare(asked) {
  ({ manifest, base } = asked);
  const parts = partsOf(manifest);
  const address = (file) => new URL(file, base).href;
  const onBytes = (bytes) => postMessage({ is: "loading", bytes });
  const { script } = manifest.runtime;
  const [ort, ...loaded] = await Promise.all([
    import(address(script.file)).finally(() => onBytes(script.bytes)),
    ...Object.entries(parts).map(async ([name, part]) => [name, await unpacked(address(part.file), part, onBytes)]),
  ]);
  await keepOnly(Object.values(parts).map((part) => address(part.file)), base);
  const contents = new Map(loaded);
  model = await load(ort, manifest, (name) => contents.get(name));
  postMessage({ is: "ready" });
}

/** Lets messages in: after this a stop, or another drawing, has been heard. */
const channel = new MessageChannel();
const breath = () =>
  new Promise((resolve) => {
    channel.port1.onmessage = resolve;
    channel.port2.postMessage(null);
  });

async function draw({ id, settings }) {
  const began = performance.now();
  const looked = []; // at each step, where each token was looked at
  let [lookingBack, first, last] = [0, null, null];
  const watched = {
    ...model,
    async predictNoise(...question) {
      const { eps, attention } = await model.look(...question);
      looked.push(attention.at(-1)); // the prompt's: with guidance the negative prompt's comes first
      return eps;
    },
  };
  const steps = settings.picture
    ? sdeditToLatents(watched, { ...settings, latent: await latentOf(settings.picture) })
    : textToLatents(watched, settings);
  await breath();
  if (wanted !== id) return postMessage({ is: "abandoned", id });
  for await (last of steps) {
    first ??= last;
    const now = performance.now();
    let preview = null;
    if (settings.previews && last.next >= 0 && lookingBack <= PREVIEWS * (now - began)) {
      preview = await model.decode(last.x0);
      lookingBack += performance.now() - now;
    }
    postMessage({ is: "step", id, share: 1 - (last.next + 1) / (first.t + 1), preview });
    await breath();
    if (wanted !== id) return postMessage({ is: "abandoned", id });
  }
  const picture = await model.decode(last.x);
  const milliseconds = performance.now() - began;
  const words = heard(settings.prompt, looked);
  postMessage({ is: "drawn", id, picture, latent: last.x, turns: looked.length, milliseconds, words });
}

/** The latent of a stored picture: numbers one after the other. */
const latentOf = once(async (name) => {
  const { latent } = manifest.stored.find((stored) => stored.name === name);
  const response = await fetch(new URL(latent, base));
  if (!response.ok) throw new Error(`The server answered ${response.status} for ${response.url}.`);
  return new Float32Array(await response.arrayBuffer());
});

/** For each word of the prompt, where it was looked at: the mean over steps and its tokens, h x w numbers. */
function heard(prompt, looked) {
  if (!looked[0]) return [];
  const each = looked[0].length / manifest.window;
  return [...new Set(wordsOf(prompt))].map((word) => {
    const map = new Float32Array(each);
    for (const position of model.positions(prompt, word)) {
      for (const step of looked) step.subarray(position * each, (position + 1) * each).forEach((v, i) => (map[i] += v));
    }
    return { word, map };
  });
}
