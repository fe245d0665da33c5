// One place to draw: the form on one side, the picture on the other, and the studio that turns one into the other.

import { easel } from "./easel.mjs";
import { make, megabytes } from "./elements.mjs";
import { settingsForm } from "./form.mjs";
import { Abandoned } from "./studio.mjs";

const PATIENCE = { text: 600, other: 120 }; // milliseconds without a change before a drawing begins

const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Fill the place and draw. Its `data-` attributes say what can be changed, and what from. still: its picture. */
export function board(place, studio, still) {
  const { manifest, size } = studio;
  const { fields, examples = "", ...own } = place.dataset;
  const { guidance_scale: guidance, ...usual } = manifest.defaults;
  const begin = { prompt: "", negative: "", seed: 0, guidance, ...usual, ...own };
  const open = fields.split(" ");
  const { figure, paint, progress, rest, say, finish } = easel(manifest.image_size, still, open);
  const prompts = examples.split("|").filter(Boolean);
  const { form, read, remark, stop } = settingsForm(begin, open, prompts, manifest, figure);
  const trouble = make("div", { className: "live-trouble", aria: { role: "alert" } });
  figure.append(trouble);
  place.replaceChildren(form);

  let newest = 0; // the number of the drawing that was asked for last
  let timer;

  async function draw() {
    clearTimeout(timer);
    trouble.replaceChildren();
    const wrong = [...form.elements].find((control) => !control.checkValidity());
    if (wrong) return say(`${wrong.labels[0].textContent}: ${wrong.validationMessage}`);
    remark();
    const mine = ++newest;
    const settings = { ...read(), previews: !calm.matches };
    stop.disabled = false;
    try {
      await studio.load(onLoading);
      if (mine !== newest) return;
      say("");
      const drawn = await studio.draw(settings, ({ share, preview }) => {
        if (mine !== newest) return;
        progress(share);
        if (preview) paint(preview);
      });
      finish(drawn, settings);
      place.dispatchEvent(new CustomEvent("drawn", { detail: { settings, ...drawn } }));
    } catch (error) {
      if (mine !== newest) return;
      if (error instanceof Abandoned || error instanceof RangeError) say(error.message);
      else complain(error);
    } finally {
      if (mine === newest) {
        stop.disabled = true;
        rest();
      }
    }
  }

  function onLoading(share) {
    progress(share);
    say(share < 1 ? `Loading ${megabytes(size)} …` : "Getting ready …");
  }

  function complain(error) {
    say("");
    const again = make("button", { type: "button", textContent: "Try again", onclick: draw });
    trouble.append(make("p", { textContent: `${error.message} Nothing you typed is lost.` }), again);
  }

  function showOriginal({ target }) {
    const { png, caption } = manifest.stored.find(({ name }) => name === target.value);
    Object.assign(still, { src: new URL(png, studio.base), alt: caption });
  }

  form.onsubmit = (event) => {
    event.preventDefault();
    draw();
  };
  form.oninput = ({ target }) => {
    clearTimeout(timer);
    timer = setTimeout(draw, PATIENCE[target.type] ?? PATIENCE.other);
  };
  form.elements.picture?.addEventListener("change", showOriginal);
  stop.onclick = studio.stop;
  form.focus({ preventScroll: true });
  return draw();
}
