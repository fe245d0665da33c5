// On the picture's onload, `this` is the picture and the canvas stands behind it: what is painted becomes lines of text.
const image = this, canvas = image.nextElementSibling, pen = canvas.getContext('2d');
const scale = canvas.width / image.naturalWidth;
const find = what => canvas.closest('.difflab-painter').querySelector(what);
const lines = () => find('textarea').value.split('\n').filter(line => line.trim());
const draw = strokes => {
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = pen.strokeStyle = '#D55E00'; pen.lineCap = pen.lineJoin = 'round';
  for (const line of strokes) {
    const [kind, ...words] = line.trim().split(/\s+/), n = words.map(word => word * scale);
    if (kind === 'rectangle') { pen.fillRect(n[0], n[1], n[2] - n[0], n[3] - n[1]); continue; }
    pen.lineWidth = n[0]; pen.beginPath(); pen.moveTo(n[1], n[2]);
    for (let i = 1; i + 1 < n.length; i += 2) pen.lineTo(n[i], n[i + 1]);
    pen.stroke();
  }
};
const tell = strokes => {
  const text = find('textarea');
  text.value = strokes.join('\n');
  for (const kind of ['input', 'change']) text.dispatchEvent(new Event(kind, {bubbles: true}));
  draw(strokes);
};
const place = event => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width * image.naturalWidth,
          (event.clientY - box.top) / box.height * image.naturalHeight].map(Math.round);
};
let stroke = null;
canvas.onpointerdown = event => {
  canvas.setPointerCapture(event.pointerId);
  const brush = find('select').value === 'brush';
  stroke = [...(brush ? ['brush', find('input[type=range]').value] : ['rectangle']), ...place(event), ...place(event)];
};
canvas.onpointermove = event => {
  if (!stroke) { draw(lines()); return; }
  stroke[0] === 'brush' ? stroke.push(...place(event)) : stroke.splice(3, 2, ...place(event));
  draw([...lines(), stroke.join(' ')]);
};
canvas.onpointerup = () => { if (stroke) tell([...lines(), stroke.join(' ')]); stroke = null; };
find('.undo').onclick = () => tell(lines().slice(0, -1));
find('.clear').onclick = () => tell([]);
setTimeout(() => draw(lines()), 300);
