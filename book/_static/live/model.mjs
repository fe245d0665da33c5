// The parts of the model on onnxruntime, and the few things one does with them: difflab/model.py in the page.
// A latent is a Float32Array of 4 x h x w numbers, an embedding one of 77 x d; a list of either is a batch.

import { noiseSchedule } from "./schedule.mjs";
import { tokenizer } from "./tokenizer.mjs";

/** What has to be there before a picture can be drawn: { name: { file, bytes, unpacked, sha256 } }. */
export const partsOf = (manifest) => ({ wasm: manifest.runtime.wasm, ...manifest.files });

/** A function that asks for each answer once. */
export function once(answer, limit = 100) {
  const known = new Map();
  return (question) => {
    if (known.size > limit) known.clear();
    if (!known.has(question)) known.set(question, answer(question));
    return known.get(question);
  };
}

/**
 * ort: the module of onnxruntime-web. manifest: as `difflab export web` wrote it.
 * contents: async name -> Uint8Array, what is in a part.
 */
export async function load(ort, manifest, contents) {
  ort.env.wasm.numThreads = 1; // more of them need headers that plain hosts do not send
  ort.env.wasm.wasmBinary = await contents("wasm");
  const session = async (name) => ort.InferenceSession.create(await contents(name), { executionProviders: ["wasm"] });
  const { prompt: tokens, positions } = tokenizer(JSON.parse(new TextDecoder().decode(await contents("tokenizer"))), {
    startId: manifest.start_id,
    endId: manifest.end_id,
    padId: manifest.pad_id,
    window: manifest.window,
  });
  const schedule = noiseSchedule(manifest.alphas_cumprod, {
    spacing: manifest.timestep_spacing,
    offset: manifest.steps_offset,
    end: manifest.final_alpha_cumprod,
  });
  const [textEncoder, unet, decoder] = [await session("text_encoder"), await session("unet"), await session("decoder")];

  /** A list of Float32Arrays as one tensor, and back. */
  function stack(arrays, ...shape) {
    const data = new Float32Array(arrays.length * arrays[0].length);
    arrays.forEach((array, i) => data.set(array, i * array.length));
    return new ort.Tensor("float32", data, [arrays.length, ...shape]);
  }
  function unstack({ data, dims: [count] }) {
    const each = data.length / count;
    return Array.from({ length: count }, (_, i) => data.slice(i * each, (i + 1) * each));
  }

  /** A prompt's embedding. */
  async function encodeText(prompt) {
    const ids = new ort.Tensor("int32", tokens(prompt).ids, [1, manifest.window]);
    return unstack((await textEncoder.run({ ids })).text)[0];
  }

  /**
   * What the U-Net says of each of xs at timestep t, given the text of each: { eps, attention }, lists as long.
   * attention: where each token was looked at, 77 x h x w numbers, if the model was exported with it.
   */
  async function look(xs, t, texts) {
    const { eps, attention } = await unet.run({
      x: stack(xs, ...manifest.latent),
      t: new ort.Tensor("float32", [t], [1]),
      text: stack(texts, manifest.window, texts[0].length / manifest.window),
    });
    return { eps: unstack(eps), attention: attention ? unstack(attention) : [] };
  }

  /** A latent as a picture: red, green, blue and opacity of each pixel, row by row. */
  async function decode(latent) {
    const { pixels } = await decoder.run({ latents: stack([latent], ...manifest.latent) });
    const size = pixels.data.length / 3;
    const shown = new Uint8ClampedArray(4 * size).fill(255); // rounds halves to even, as torch does
    for (let i = 0; i < size; i++) {
      for (let color = 0; color < 3; color++) shown[4 * i + color] = (pixels.data[color * size + i] / 2 + 0.5) * 255;
    }
    return shown;
  }

  const latentSize = manifest.latent.reduce((a, b) => a * b);
  return { schedule, latentSize, encodeText: once(encodeText), look, decode, positions };
}
