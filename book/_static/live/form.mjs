// The form that says what is drawn: its fields, and what they hold.

import { make } from "./elements.mjs";
import { wordsOf } from "./tokenizer.mjs";

const SAMPLERS = [
  ["dpm++", "DPM-Solver++"],
  ["ddim", "DDIM"],
  ["euler", "Euler (the same as DDIM)"],
  ["ddpm", "DDPM (with noise at each step)"],
];
const SEEDS = 10000; // “Another” chooses below
const NUMBERS = ["seed", "steps", "guidance", "strength"];

let named = 0;

/** A control with its label. */
function field(name, label, control, ...beside) {
  Object.assign(control, { name, id: `live-${name}-${++named}` });
  const words = make("label", { htmlFor: control.id, textContent: label });
  return make("div", { className: "live-field" }, words, control, ...beside);
}

function text(name, label, value) {
  return field(name, label, make("input", { type: "text", value, autocomplete: "off", enterKeyHint: "go" }));
}

/** A slider that says where it stands. */
function slider(name, label, value, min, max, step) {
  const control = make("input", { type: "range", min, max, step, value });
  const reading = make("output", { textContent: control.value, aria: { hidden: true } }); // a reader of screens knows
  control.addEventListener("input", () => (reading.textContent = control.value));
  return field(name, label, control, reading);
}

/** options: pairs of a value and its words. */
function choice(name, label, value, options) {
  const listed = options.map(([value, textContent]) => make("option", { value, textContent }));
  const control = make("select", {}, ...listed);
  control.value = value;
  return field(name, label, control);
}

function seed(value) {
  const max = Number.MAX_SAFE_INTEGER;
  const control = make("input", { type: "number", min: 0, max, step: 1, value, required: true });
  const another = make("button", { type: "button", textContent: "Another" });
  another.onclick = () => draw(control, Math.floor(SEEDS * Math.random()));
  return field("seed", "Seed", control, another);
}

/** Put a value in, and have it drawn. */
function draw(control, value) {
  control.value = value;
  control.form.requestSubmit();
}

/** Prompts to try with one click. */
function examples(listed, control) {
  const buttons = listed.map((prompt) => {
    const button = make("button", { type: "button", textContent: prompt });
    button.onclick = () => draw(control, prompt);
    return button;
  });
  return make("div", { className: "live-examples", aria: { role: "group", label: "Prompts to try" } }, ...buttons);
}

/**
 * The form around a figure: { form, read, remark, stop }. `read()` is what its fields hold, `remark()` says what there
 * is to say about the words, and `stop` is a button, off until it is needed.
 * begin: what every setting begins with. fields: which of them can be changed. prompts: to try with a click.
 */
export function settingsForm(begin, fields, prompts, manifest, figure) {
  const stored = manifest.stored.map(({ name, caption }) => [name, caption]);
  const all = {
    picture: () => choice("picture", "Picture", begin.picture, stored),
    prompt: () => text("prompt", "Prompt", begin.prompt),
    negative: () => text("negative", "Negative prompt", begin.negative),
    strength: () => slider("strength", "Strength", begin.strength, 0, 1, 0.05),
    guidance: () => slider("guidance", "Guidance", begin.guidance, -4, 16, 0.5),
    steps: () => slider("steps", "Steps", begin.steps, 1, 50, 1),
    seed: () => seed(begin.seed),
    sampler: () => choice("sampler", "Sampler", begin.sampler, SAMPLERS),
  };
  const group = (legend, ...names) => {
    const chosen = names.filter((name) => fields.includes(name)).map((name) => all[name]());
    return make("fieldset", {}, make("legend", { textContent: legend }), ...chosen);
  };
  const what = group("What to draw", "picture", "prompt", "negative");
  const how = group("How to draw it", "strength", "guidance", "steps", "seed", "sampler");
  const stop = make("button", { type: "button", textContent: "Stop", disabled: true });
  how.append(make("div", { className: "live-buttons" }, make("button", { textContent: "Draw" }), stop));
  const form = make("form", { noValidate: true, tabIndex: -1 }, what, figure, how);
  const { prompt } = form.elements;
  if (prompts.length) prompt.parentElement.after(examples(prompts, prompt));
  const { note, remark } = vocabulary(form, manifest.words);
  what.append(note);

  function read() {
    const settings = { ...begin, ...Object.fromEntries(new FormData(form)) };
    for (const name of NUMBERS) settings[name] = Number(settings[name]);
    return settings;
  }
  return { form, read, remark, stop };
}

/** What the model was shown: { note, remark }. `remark()` says in the note which of the words it was not shown. */
function vocabulary(form, { captions, ...kinds }) {
  const known = new Set(captions);
  const unknown = make("p", { className: "live-unknown", aria: { live: "polite" } });
  const remark = () => {
    const typed = `${form.elements.prompt.value} ${form.elements.negative?.value ?? ""}`;
    const strange = [...new Set(wordsOf(typed))].filter((word) => /\p{L}/u.test(word) && !known.has(word));
    unknown.textContent = strange.length ? `The model never met: ${strange.join(", ")}. It does what it can.` : "";
  };
  const lists = Object.entries(kinds).flatMap(([kind, words]) => [
    make("dt", { textContent: kind }),
    make("dd", { textContent: words.join(", ") }),
  ]);
  const summary = make("summary", { textContent: "Words it knows" });
  return { remark, note: make("div", {}, unknown, make("details", {}, summary, make("dl", {}, ...lists))) };
}
