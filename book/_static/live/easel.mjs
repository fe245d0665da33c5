// The picture's side of a place to draw: the picture, how far it is, and what there is to say about it.

import { make } from "./elements.mjs";
import { lit } from "./heat.mjs";

/**
 * size: of the picture, in pixels. still: the stored picture it begins with. fields: with "picture" among them that one
 * stays, for comparison; with "words" there are buttons that show where each was looked at.
 */
export function easel(size, still, fields) {
  const comparing = fields.includes("picture");
  const canvas = make("canvas", {
    width: size,
    height: size,
    hidden: !comparing,
    aria: { role: "img", label: "Nothing drawn yet" },
  });
  const stage = make("div", { className: "live-stage" }, ...(still ? [still] : []), canvas);
  const bar = make("progress", { max: 1, value: 0, aria: { label: "Progress" } });
  const caption = make("figcaption", { aria: { live: "polite" } });
  const words = make("div", { className: "live-words", aria: { role: "group", label: "Where did it look?" } });
  const status = make("p", { className: "live-status", aria: { role: "status" } });
  const figure = make("figure", {}, stage, bar, caption, words, status);
  let finished = null; // the picture that the caption speaks of

  function paint(picture) {
    if (still) still.hidden = !comparing;
    canvas.hidden = false;
    canvas.getContext("2d").putImageData(new ImageData(picture, size), 0, 0);
  }

  /** share: of what is to be done, from 0 to 1. */
  function progress(share) {
    bar.value = share;
    figure.classList.add("live-busy");
  }

  /** Nothing is going on any more: what was not finished makes way for what was. */
  function rest() {
    figure.classList.remove("live-busy");
    if (finished) paint(finished);
  }

  function say(text) {
    if (status.textContent !== text) status.textContent = text; // said once
  }

  /** The finished picture, its caption, and what it is to those who cannot see it. */
  function finish(drawn, { prompt, seed }) {
    const title = prompt.trim() ? `“${prompt.trim()}”` : "No prompt";
    finished = drawn.picture;
    canvas.setAttribute("aria-label", `Drawn in this page: ${title}, seed ${seed}`);
    const time = Math.round(drawn.milliseconds).toLocaleString("en");
    caption.textContent = `${title}, seed ${seed}: ${drawn.turns} steps in ${time} ms`;
    if (!fields.includes("words")) return;
    words.replaceChildren("Where did it look?", ...drawn.words.map(wordButton));
  }

  /** A word that, pressed, shows where it was looked at. */
  function wordButton({ word, map }) {
    const button = make("button", { type: "button", textContent: word, aria: { pressed: false } });
    button.onclick = () => {
      const pressed = button.getAttribute("aria-pressed") === "false";
      for (const other of words.children) other.setAttribute("aria-pressed", other === button && pressed);
      paint(pressed ? lit(finished, map) : finished);
      say(pressed ? `Bright is where the network looked at “${word}”.` : "");
    };
    return button;
  }

  return { figure, paint, progress, rest, say, finish };
}
