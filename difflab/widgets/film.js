// On the sheet's onload: `this` is all frames side by side, and what holds it is as wide as one of them.
const box = this.closest('figure'), [controls, button, slider, told] = ['div.controls', 'button', 'input', 'span.frame']
  .map(name => box.querySelector(name));
const count = +slider.max + 1;
let timer = null;
const show = n => {
  this.style.transform = `translateX(${-100 * n / count}%)`;
  slider.value = n;
  slider.setAttribute('aria-valuetext', `frame ${n + 1} of ${count}`);
  told.textContent = `${n + 1} of ${count}`;
};
const play = on => {
  clearInterval(timer);
  timer = on ? setInterval(() => box.isConnected ? show((+slider.value + 1) % count) : play(false), box.dataset.delay) : null;
  button.textContent = on ? 'Pause' : 'Play';
};
button.onclick = this.onclick = () => play(!timer);
slider.oninput = () => { play(false); show(+slider.value); };
slider.onkeydown = event => {
  if (event.key === ' ') { event.preventDefault(); play(!timer); }
};
controls.hidden = false;
show(0);
play(!matchMedia('(prefers-reduced-motion: reduce)').matches);
