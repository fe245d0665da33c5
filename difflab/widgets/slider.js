// A slider's oninput: `this` is the slider, and the frames stand in the same figure.
const box = this.closest('figure'), n = +this.value;
box.querySelectorAll('img').forEach((frame, i) => { frame.hidden = i !== n });
const text = JSON.parse(box.dataset.labels)[n];
box.querySelector('output').textContent = text;
this.setAttribute('aria-valuetext', text);
