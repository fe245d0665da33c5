// The page's side of the worker. All places to draw on a page share one studio: one worker, one download.

import { isKept } from "./download.mjs";
import { partsOf } from "./model.mjs";

const base = new URL(".", import.meta.url).href;

/** Raised when a drawing was stopped, or given up for another one. */
export class Abandoned extends Error {
  message = "Stopped.";
}

/** Opens the studio: reads what there is to load, and loads nothing. Raises an Error where nothing can be drawn. */
export async function openStudio() {
  if (typeof WebAssembly !== "object" || typeof DecompressionStream !== "function") {
    throw new Error("This browser is too old to draw in the page.");
  }
  const response = await fetch(new URL("manifest.json", base)).catch(() => null);
  const manifest = response?.ok ? await response.json() : null;
  if (!manifest?.runtime) throw new Error("This copy of the book was built without the parts that draw.");

  const parts = Object.values(partsOf(manifest));
  const size = parts.reduce((sum, { bytes }) => sum + bytes, manifest.runtime.script.bytes);
  const kept = () => isKept(parts.map(({ file }) => new URL(file, base).href));

  let worker = null;
  let loading = null; // a promise: of a worker that is ready
  const watchers = new Set(); // told how far the loading is
  const drawings = new Map(); // those that run: id -> { onStep, resolve, reject }
  let last = 0;

  /** Load what is needed, once. onLoading: told the share that has come, from 0 to 1. */
  function load(onLoading) {
    watchers.add(onLoading);
    loading ??= start().catch((error) => {
      close();
      throw error;
    });
    return loading;
  }

  function start() {
    let loaded = 0;
    const tell = (bytes) => {
      loaded += bytes;
      watchers.forEach((onLoading) => onLoading(loaded / size));
    };
    worker = new Worker(new URL("worker.mjs", base), { type: "module" });
    return new Promise((resolve, reject) => {
      worker.onerror = () => reject(new Error("The browser did not start the part that draws."));
      worker.onmessage = ({ data }) => {
        if (data.is === "loading") tell(data.bytes);
        else if (data.is === "ready") resolve();
        else if (data.id === undefined) reject(new Error(data.message));
        else answer(data);
      };
      worker.postMessage({ do: "load", base, manifest });
    });
  }

  /** What the worker says about a drawing, passed on to whoever asked for it. */
  function answer({ is, id, ...told }) {
    const { onStep, resolve, reject } = drawings.get(id);
    if (is === "step") return onStep(told);
    drawings.delete(id);
    if (is === "drawn") resolve(told);
    else if (is === "abandoned") reject(new Abandoned());
    else if (told.yours) reject(new RangeError(told.message));
    else {
      reject(new Error(told.message));
      close(); // it may be broken: the next drawing gets a new worker, from what the browser kept
    }
  }

  function close() {
    worker?.terminate();
    worker = loading = null;
    drawings.forEach(({ reject }) => reject(new Abandoned()));
    drawings.clear();
  }

  /** Draw, once loaded: a promise of { picture, latent, turns, milliseconds, words }. It ends the one that runs. */
  function draw(settings, onStep) {
    const id = ++last;
    return new Promise((resolve, reject) => {
      drawings.set(id, { onStep, resolve, reject });
      worker.postMessage({ do: "draw", id, settings });
    });
  }

  const stop = () => worker.postMessage({ do: "stop" });

  return { manifest, base, size, kept, load, draw, stop };
}
