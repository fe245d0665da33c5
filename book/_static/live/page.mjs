// The places to draw in a page: what the reader sees and touches.
//
// <div class="difflab-live" data-fields="prompt seed ..." data-prompt="..."> holds what is seen without this script: a
// stored picture and a sentence. `data-fields` says what can be changed; every field begins with its own attribute.

import { board } from "./board.mjs";
import { make, megabytes } from "./elements.mjs";
import { openStudio } from "./studio.mjs";

/** Furnish every place of the page. They share one studio. */
export async function furnish(places) {
  let studio;
  try {
    studio = await openStudio();
  } catch (error) {
    const words = `${error.message} The picture here was stored when the book was built.`;
    places.forEach((place) => place.append(make("p", { className: "live-note", textContent: words })));
    return;
  }
  document.querySelector(".difflab-live-parts")?.replaceChildren(...partsList(studio));
  document.querySelector(".difflab-live-errors")?.replaceChildren(errors(studio.manifest));
  const kept = await studio.kept();
  places.forEach((place) => offer(place, studio, kept));
}

/** A button that says what it costs to begin. */
function offer(place, studio, kept) {
  const cost = kept ? "already on this device" : `loads ${megabytes(studio.size)}`;
  const textContent = `Draw in this page (${cost})`;
  const button = make("button", { type: "button", className: "live-start", textContent });
  const still = place.querySelector("img.difflab-live-still");
  place.replaceChildren(...(still ? [still] : []), button);
  button.onclick = () => board(place, studio, still);
}

/** What is loaded, and how large each of it is. */
function partsList({ manifest, size }) {
  const names = { text_encoder: "text encoder", unet: "U-Net" };
  const files = Object.entries(manifest.files);
  const lines = files.map(([name, { bytes }]) => `the ${names[name] ?? name}: ${megabytes(bytes)}`);
  const { name, version, bytes } = manifest.runtime;
  return [...lines, `${name} ${version}, which computes them: ${megabytes(bytes)}`, `together: ${megabytes(size)}`].map(
    (textContent) => make("li", { textContent }),
  );
}

/** How far the small weights are from the notebooks' own, as it was measured when they were written. */
function errors({ errors: { latents, pictures } }) {
  const percent = (share) => `${(100 * share).toPrecision(2)} %`;
  return (
    `Measured when these files were written: the latents differ by ${percent(latents)}, ` +
    `and the colors of the pictures by ${percent(pictures)} of the way from dark to bright.`
  );
}
