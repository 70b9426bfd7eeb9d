// Shows what a small network answers while the pen moves, over the server's answer and in the same geometry, until the
// server has answered for the last stroke. Joined with preprocess.js and network.js, whose functions it calls.

const LEAST_INTERVAL = 24; // milliseconds from one evaluation to the next: every second frame of most screens
const SHARE = 0.2; // of the time that evaluations may take, so that the pen always comes first
const TOO_SLOW = 80; // milliseconds; a machine that takes longer several times in a row is left alone
const MOST_SLOW = 5;
const NOTHING = { probabilities: Array(10).fill(0), digit: 0, accepted: false };
const BLANK = new Uint8Array(28 * 28);
const LONGEST_WAIT = 5000; // milliseconds for an answer; a stroke that left no ink gets none

const views = new WeakMap(); // by the element that Streamlit gives; a page runs again with every stroke

export default function ({ data, parentElement }) {
  try {
    const view = views.get(parentElement);
    if (view && sameBytes(view.data, data)) return view.stop;
    view?.stop();
    const stop = follow(parentElement.querySelector('.live'), createNetwork(data));
    views.set(parentElement, { data, stop });
    return stop;
  } catch {
    return undefined; // the page works as it does without this
  }
}

function sameBytes(one, other) {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}

// Follows the pen until the function that it returns is called.
function follow(root, network) {
  const side = Number(root.dataset.side);
  const place = root.closest('.st-key-answer-part');
  const panel = createPanel(root, place);
  const preprocess = createPreprocessor(side, side);
  const context = createCanvas(side).getContext('2d', { willReadFrequently: true });
  const events = new AbortController();
  const observer = new MutationObserver((changes) => attempt(() => compareWithServer(changes)));
  let canvases = []; // that are drawn on, the one of finished strokes first
  let isDown = false;
  let isWaiting = false; // from pen-down until the server has answered
  let expected = 0; // strokes that it will have answered for
  let warmUp = 0;
  let request = 0;
  let timeout = 0;
  let cost = 0; // of the last evaluation, in milliseconds
  let started = 0;
  let slow = 0;

  observer.observe(place, { subtree: true, childList: true, attributeFilter: ['data-strokes'] });
  const listen = (type, action) =>
    document.addEventListener(type, (event) => attempt(() => action(event)), {
      capture: true,
      passive: true,
      signal: events.signal,
    });
  listen('pointerdown', down);
  listen('pointermove', () => isDown && schedule());
  listen('pointerup', up);
  listen('pointercancel', up);
  listen('keydown', rest);
  listen('click', clear);
  warmUp = globalThis.requestIdleCallback?.(() => attempt(compile));
  return stop;

  function stop() {
    events.abort();
    observer.disconnect();
    globalThis.cancelIdleCallback?.(warmUp);
    rest();
  }

  function attempt(action) {
    try {
      action();
    } catch {
      stop();
    }
  }

  function down(event) {
    const target = event.composedPath()[0];
    if (!target.classList?.contains('upper-canvas')) return rest();
    if (!event.isPrimary || event.button !== 0) return;
    canvases = [target.parentElement.querySelector('.lower-canvas'), target];
    if (canvases.some(({ width, height }) => width !== side || height !== side)) return;
    if (!isWaiting) expected = answeredStrokes();
    isDown = isWaiting = true;
    clearTimeout(timeout);
    schedule();
  }

  function up(event) {
    if (!isDown || !event.isPrimary) return;
    isDown = false;
    expected++;
    timeout = setTimeout(rest, LONGEST_WAIT);
    // The canvas draws the finished stroke in the next frame; until then the stroke is on neither of the two.
    cancelAnimationFrame(request);
    request = requestAnimationFrame(() => {
      request = 0;
      schedule();
    });
  }

  // At once, whatever else the server does; it has the last word here as well.
  function clear(event) {
    if (!event.target.closest?.('.st-key-clear button:enabled')) return;
    isWaiting = true;
    expected = 0;
    timeout = setTimeout(rest, LONGEST_WAIT);
    panel.empty();
  }

  function rest() {
    isDown = isWaiting = false;
    clearTimeout(timeout);
    cancelAnimationFrame(request);
    request = 0;
    panel.hide();
  }

  function answeredStrokes() {
    return Number(place.querySelector('[data-strokes]')?.dataset.strokes || NaN);
  }

  // The server's answer for the last stroke takes the place of ours before anything is painted.
  function compareWithServer(changes) {
    const isFromServer = changes.some(({ target }) => !root.contains(target));
    if (isFromServer && isWaiting && !isDown && !(answeredStrokes() < expected)) rest();
  }

  function schedule() {
    request ||= requestAnimationFrame(() => {
      request = 0;
      if (performance.now() - started < Math.max(LEAST_INTERVAL, cost / SHARE)) schedule();
      else attempt(evaluate);
    });
  }

  function evaluate() {
    started = performance.now();
    const { kind, several, input } = preprocess(pixelsOf(canvases));
    if (kind === 'digit' && !several) panel.show(network(input), input);
    else panel.hide(); // the server reads numbers, and pictures that are not clean
    cost = performance.now() - started;
    slow = cost > TOO_SLOW ? slow + 1 : 0;
    if (slow > MOST_SLOW) stop();
  }

  function pixelsOf(layers) {
    context.clearRect(0, 0, side, side);
    for (const layer of layers) context.drawImage(layer, 0, 0);
    return context.getImageData(0, 0, side, side).data;
  }

  // Once, before the first stroke, which would otherwise wait until the browser has compiled the code.
  function compile() {
    const pixels = new Uint8ClampedArray(4 * side * side).fill(255);
    for (let y = side >> 2; y < side >> 1; y++) pixels.fill(130, 4 * y * side + 400, 4 * y * side + 480);
    for (let i = 0; i < 3; i++) network(preprocess(pixels).input);
  }
}

function createCanvas(side) {
  return Object.assign(document.createElement('canvas'), { width: side, height: side });
}

// The answer as pages/templates/answer.html has it, hidden from screen readers, which are told the server's. It is in
// the page only while it is shown. Texts change in place, so that whoever watches the page for new elements sees none.
function createPanel(root, place) {
  const picture = createCanvas(28);
  const context = picture.getContext('2d');
  const image = context.createImageData(28, 28);
  const digit = document.createTextNode('');
  const answer = element('div', 'digit-answer live-answer', [
    element('p', '', [element('b', '', [digit]), element('span', '', [`live: ${root.dataset.network}`])]),
    element('figure', '', [picture, element('figcaption', '', ['what it sees'])]),
  ]);
  const rows = Array.from({ length: 10 }, (_, i) => {
    const bar = element('div', 'bar');
    const share = document.createTextNode('');
    const name = element('span', '', [String(i)]);
    const value = element('span', '', [share]);
    return { bar, share, marked: [name, bar, value], cells: [name, element('div', 'track', [bar]), value] };
  });
  const bars = element('div', 'digit-bars live-bars', rows.flatMap(({ cells }) => cells));
  image.data.fill(255);

  return { show, empty, hide };

  function empty() {
    show(NOTHING, BLANK);
    answer.classList.add('empty');
    for (const { share } of rows) write(share, '');
  }

  function show({ probabilities, digit: best, accepted }, input) {
    answer.classList.remove('empty');
    write(digit, accepted ? String(best) : '?');
    rows.forEach(({ bar, share, marked }, i) => {
      bar.style.width = `${(100 * probabilities[i]).toFixed(2)}%`;
      write(share, percent(probabilities[i]));
      for (const cell of marked) cell.classList.toggle('best', accepted && i === best);
    });
    for (let i = 0; i < input.length; i++) image.data.fill(input[i], 4 * i, 4 * i + 3);
    context.putImageData(image, 0, 0);
    if (answer.isConnected) return;
    const covered = place.querySelector('.digit-answer');
    if (covered) answer.style.minHeight = `${covered.getBoundingClientRect().height}px`;
    root.replaceChildren(answer, bars);
  }

  function hide() {
    if (answer.isConnected) root.replaceChildren();
  }
}

// Only what differs: each change is laid out and painted, and most shares stay where they are.
function write(text, value) {
  if (text.data !== value) text.data = value;
}

function element(name, className = '', children = []) {
  const node = document.createElement(name);
  node.className = className;
  node.append(...children);
  return node;
}

// `percent` of pages/shared/words.py.
function percent(share) {
  if (share >= 0.9995) return '>99.9%';
  return share < 0.0005 ? '<0.1%' : `${(100 * share).toFixed(1)}%`;
}
