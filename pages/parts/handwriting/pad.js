// Asks for one digit after the other. A drawing is a digit once the pen has rested; it goes into a queue, which the
// server is sent whole until it says which of it is done. So the next digit is asked for at once, however slow the way.

const REST = 800; // milliseconds after pen-up
const PEN = 24; // width, in pixels of the strokes
const TYPED_IN = 'input:not([type=range], [type=radio], [type=checkbox]), textarea, select, [contenteditable=true]';
const memory = { strokes: [], queue: [], last: 0, data: { prompts: [], written: 0, total: 1, done: 0, side: 336 } };
let owner = null;

export default function ({ data, parentElement, setStateValue }) {
  owner = parentElement;
  memory.root = parentElement.querySelector('.pad');
  memory.data = data;
  memory.last = Math.max(memory.last, data.done);
  memory.queue = memory.queue.filter(({ number }) => number > data.done);
  memory.send = () => setStateValue('queue', memory.queue);
  if (!memory.root.dataset.ready) {
    listen(memory.root);
    if (memory.queue.length) memory.send(); // from before the visitor was on another page
  }
  document.addEventListener('keydown', press);
  addEventListener('resize', draw);
  show();
  return () => {
    if (owner !== parentElement) return;
    document.removeEventListener('keydown', press);
    removeEventListener('resize', draw);
    rest();
  };
}

function listen(root) {
  root.dataset.ready = 'true';
  const canvas = root.querySelector('canvas');
  // A quick stroke would pass for a fling, which swallows the next tap, wherever that is.
  canvas.addEventListener('touchstart', (event) => event.preventDefault(), { passive: false });
  canvas.addEventListener('pointerdown', down);
  canvas.addEventListener('pointermove', move);
  for (const kind of ['pointerup', 'pointercancel']) canvas.addEventListener(kind, up);
  root.querySelector('.undo').addEventListener('click', undo);
}

// What is written and not known to the server yet: digits, of which a wish to undo takes the last one back.
function pending() {
  const labels = [];
  let takenBack = 0; // of those that the server knows
  for (const { label, strokes } of memory.queue) {
    if (strokes.length) labels.push(label);
    else if (labels.length) labels.pop();
    else takenBack += 1;
  }
  return { labels, takenBack };
}

// The digit to be written: while one is being written, the one that was asked for. Null until the server has said it.
function asked() {
  if (memory.strokes.length) return memory.label;
  const { labels, takenBack } = pending();
  if (takenBack) return null;
  const prompts = [...memory.data.prompts];
  for (const label of labels) if (prompts.includes(label)) prompts.splice(prompts.indexOf(label), 1);
  return prompts[0] ?? null;
}

function written() {
  const { labels, takenBack } = pending();
  return memory.data.written + labels.length - takenBack;
}

function down(event) {
  const label = asked();
  if (memory.pointer !== undefined || label === null || event.button > 0) return;
  event.preventDefault();
  clearTimeout(memory.timer);
  Object.assign(memory, { pointer: event.pointerId, label });
  event.target.setPointerCapture(event.pointerId);
  memory.strokes.push([place(event)]);
  show();
}

function move(event) {
  if (event.pointerId !== memory.pointer) return;
  const events = event.getCoalescedEvents?.() ?? [];
  memory.strokes.at(-1).push(...(events.length ? events : [event]).map(place));
  draw();
}

function up(event) {
  if (event.pointerId !== memory.pointer) return;
  memory.pointer = undefined;
  memory.timer = setTimeout(rest, REST);
}

// In pixels of the strokes, from the top left of the pad.
function place(event) {
  const box = memory.root.querySelector('canvas').getBoundingClientRect();
  const scale = memory.data.side / box.width;
  const within = (value) => Math.round(10 * Math.max(-memory.data.side, Math.min(2 * memory.data.side, value))) / 10;
  return [within(scale * (event.clientX - box.left)), within(scale * (event.clientY - box.top))];
}

function rest() {
  clearTimeout(memory.timer);
  if (!memory.strokes.length || memory.pointer !== undefined) return;
  push(memory.label, memory.strokes);
}

function push(label, strokes) {
  memory.last += 1;
  memory.queue.push({ number: memory.last, label, strokes });
  memory.strokes = [];
  memory.send();
  show();
}

// Takes back what is being written, or else the last digit.
function undo() {
  clearTimeout(memory.timer);
  memory.pointer = undefined;
  if (memory.strokes.length) memory.strokes = [];
  else if (written() > 0) push(0, []);
  show();
}

function press(event) {
  if (event.composedPath()[0].matches?.(TYPED_IN) || document.querySelector('[role=dialog]')) return;
  const isUndo = event.key === 'Backspace' || (event.key.toLowerCase() === 'z' && (event.ctrlKey || event.metaKey));
  if (!isUndo) return;
  event.preventDefault();
  undo();
}

function show() {
  const { root, data } = memory;
  const label = asked();
  const prompt = root.querySelector('.prompt');
  if (prompt.dataset.label !== String(label)) {
    prompt.dataset.label = String(label);
    prompt.replaceChildren(label === null ? '' : label === 8 ? 'Write an' : 'Write a');
    if (label !== null) prompt.append(Object.assign(document.createElement('b'), { textContent: label }));
  }
  const count = written();
  const ring = root.querySelector('.ring');
  ring.style.setProperty('--share', count / data.total);
  ring.setAttribute('aria-label', `${count} of ${data.total} written`);
  ring.querySelector('text').textContent = count;
  root.querySelector('.undo').disabled = !memory.strokes.length && count <= 0;
  root.querySelector('.problem').textContent = memory.strokes.length || memory.queue.length ? '' : data.problem;
  draw();
}

function draw() {
  const canvas = memory.root.querySelector('canvas');
  const side = Math.round(canvas.clientWidth * devicePixelRatio);
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const context = canvas.getContext('2d');
  const scale = side / memory.data.side;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, memory.data.side, memory.data.side);
  Object.assign(context, { lineWidth: PEN, lineCap: 'round', lineJoin: 'round' });
  context.strokeStyle = getComputedStyle(memory.root).color;
  for (const [first, ...points] of memory.strokes) {
    context.beginPath();
    context.moveTo(...first);
    for (const point of points.length ? points : [first]) context.lineTo(...point);
    context.stroke();
  }
}
