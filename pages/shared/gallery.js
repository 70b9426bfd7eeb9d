// A grid of digits cut from one picture: one tab stop, in which the arrow keys, Home and End move.
//
// Tiles stay what they are from one run of the page to the next, and so does what the visitor has picked meanwhile: the
// browser is ahead of the server, whose pick counts only where it is not the browser's own, and `revision` has grown.

const PAUSE = 250; // milliseconds from one message to the next, however fast the keys are pressed
const memories = new Map(); // by the gallery's key: Streamlit may make a gallery anew

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector('.gallery');
  if (!memories.has(data.key)) memories.set(data.key, { sent: 0 });
  const memory = memories.get(data.key);
  Object.assign(memory, { follow: data.follow, setStateValue });
  if (!root.dataset.ready) listen(root, memory);
  show(root, memory, data);
}

function listen(root, memory) {
  root.dataset.ready = 'true';
  root.addEventListener('keydown', (event) => walk(root, memory, event));
  root.addEventListener('click', (event) => {
    const tile = event.target.closest('button');
    if (!tile) return;
    stand(root, memory, tile);
    pick(root, memory, tile);
  });
  root.addEventListener('focusin', () => { memory.focused = true; });
  root.addEventListener('focusout', () => { if (root.isConnected) memory.focused = false; }); // else it was taken away
}

function show(root, memory, data) {
  root.setAttribute('aria-label', data.label);
  root.style.setProperty('--side', `${data.side}px`);
  root.style.setProperty('--sheet', `url(${data.sheet})`);
  root.style.setProperty('--sheet-width', `${data.columns * data.side}px`);
  const focused = memory.focused;
  const place = [...root.children].findIndex((tile) => tile.dataset.id === memory.here);
  arrange(root, data);
  const isNews = memory.revision !== data.revision;
  const isClosed = isNews && data.picked === null && memory.picked != null;
  if (isNews) {
    clearTimeout(memory.timer);
    Object.assign(memory, { revision: data.revision, picked: data.picked });
  }
  mark(root, memory);
  const here = find(root, isNews ? memory.picked : memory.here) ?? find(root, memory.here)
    ?? root.children[Math.min(Math.max(place, 0), root.children.length - 1)];
  if (!here) return;
  stand(root, memory, here);
  if (isNews) reveal(root, here);
  const isLost = focused && !root.contains(root.getRootNode().activeElement);
  if (isLost || (isClosed && isNowhere(document.activeElement))) here.focus({ preventScroll: true });
}

// Whether the focus is where it will be taken away: in the sheet of the digit that is no longer picked.
function isNowhere(element) {
  return !element || element === document.body || Boolean(element.closest('.st-key-digit-sheet'));
}

function arrange(root, { tiles, columns, side }) {
  const known = new Map([...root.children].map((tile) => [tile.dataset.id, tile]));
  const shown = tiles.map((tile, i) => {
    const button = known.get(String(tile.id)) ?? make(tile.id);
    const name = `${tile.caption}, ${tile.alt}`;
    button.setAttribute('aria-label', name);
    button.title = tile.alt;
    button.classList.toggle('marked', tile.marked);
    button.firstChild.style.backgroundPosition = `-${(i % columns) * side}px -${Math.floor(i / columns) * side}px`;
    button.lastChild.textContent = tile.caption;
    return button;
  });
  const kept = new Set(shown);
  for (const tile of known.values()) if (!kept.has(tile)) tile.remove();
  shown.forEach((tile, i) => { if (root.children[i] !== tile) root.insertBefore(tile, root.children[i] ?? null); });
}

function make(id) {
  const button = document.createElement('button');
  button.type = 'button';
  button.dataset.id = id;
  const picture = document.createElement('span');
  picture.className = 'picture';
  button.append(picture, document.createElement('span'));
  return button;
}

function find(root, id) {
  return [...root.children].find((tile) => tile.dataset.id === String(id));
}

// The tile that Tab leads to, and from which the arrow keys go on.
function stand(root, memory, here) {
  for (const tile of root.children) tile.tabIndex = tile === here ? 0 : -1;
  memory.here = here.dataset.id;
}

function mark(root, memory) {
  for (const tile of root.children) {
    if (memory.follow) tile.setAttribute('aria-pressed', String(tile.dataset.id === String(memory.picked)));
  }
}

function walk(root, memory, event) {
  const tiles = [...root.children];
  const i = tiles.indexOf(event.target);
  if (i < 0 || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const steps = {
    ArrowLeft: () => tiles[i - 1],
    ArrowRight: () => tiles[i + 1],
    ArrowUp: () => inNextRow(tiles.slice(0, i).reverse(), tiles[i]),
    ArrowDown: () => inNextRow(tiles.slice(i + 1), tiles[i]),
    Home: () => tiles[0],
    End: () => tiles.at(-1),
  };
  if (!(event.key in steps)) return;
  event.preventDefault();
  event.stopPropagation(); // or it would also press the page's own buttons for these keys
  const next = steps[event.key]();
  if (!next || next === tiles[i]) return;
  stand(root, memory, next);
  next.focus({ preventScroll: true });
  reveal(root, next);
  if (memory.follow) pick(root, memory, next);
}

// Of the tiles in the row that begins these, the one that stands nearest above or below.
function inNextRow(tiles, here) {
  const others = tiles.filter((tile) => tile.offsetTop !== here.offsetTop);
  const row = others.filter((tile) => tile.offsetTop === others[0].offsetTop);
  const distance = (tile) => Math.abs(tile.offsetLeft - here.offsetLeft);
  return row.reduce((best, tile) => (best && distance(best) <= distance(tile) ? best : tile), undefined);
}

// Into view, in the gallery and on the page, whose sheet may cover the bottom.
function reveal(root, tile) {
  const bottom = tile.offsetTop + tile.offsetHeight;
  if (tile.offsetTop < root.scrollTop) root.scrollTop = tile.offsetTop - 4;
  else if (bottom > root.scrollTop + root.clientHeight) root.scrollTop = bottom + 4 - root.clientHeight;
}

// Shown at once; the server hears of the last of several quick ones.
function pick(root, memory, tile) {
  memory.picked = Number(tile.dataset.id);
  mark(root, memory);
  root.scrollIntoView({ block: 'nearest' });
  clearTimeout(memory.timer);
  memory.timer = setTimeout(() => {
    memory.sent = Date.now();
    memory.setStateValue('picked', { id: memory.picked, at: memory.sent }); // a second click is news, too
  }, Math.max(0, memory.sent + PAUSE - Date.now()));
}
