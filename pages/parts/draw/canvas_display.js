// Shows the drawing canvas in our style, light or dark, and gives it a name and keys. It is an element of another
// component, in a shadow root of this document; whenever that is made anew, our sheet is put into it. The page calls
// this after every run and at every change of theme, but ends it only once: so there is one of everything here.
const sheet = new CSSStyleSheet();
const observer = new MutationObserver(dress);
const TOOLS = ['undo', 'redo', 'clear', 'true-digit'].map((name) => `.st-key-${name} button`).join();
const LONGEST = 3000; // milliseconds that a tool waits for what was drawn; a touch may leave no stroke
const STEP = 50;
const TYPED_IN = 'input:not([type=range], [type=radio], [type=checkbox]), textarea, select, [contenteditable=true]';
const HELD = [['pointerdown', down], ['pointerup', up], ['pointercancel', up], ['click', hold]];
let shown = null; // what the page says of the canvas
let owner = null;
let isDown = false;
let expected = 0; // strokes that the page will show once the server knows all that was drawn
let penUp = -LONGEST;

export default function ({ data, parentElement }) {
  [shown, owner] = [data, parentElement];
  sheet.replaceSync(data.sheet);
  const isDark = data.ink === 'theme' ? getComputedStyle(parentElement).colorScheme === 'dark' : data.ink === 'dark';
  // Of the whole document: pictures of drawings are shown in the same way, in other shadow roots and in popovers.
  document.documentElement.style.setProperty('--ink-filter', isDark ? data.dark : 'none');
  observer.observe(document.body, { childList: true, subtree: true });
  document.addEventListener('keydown', press);
  for (const [kind, action] of HELD) document.addEventListener(kind, action, true);
  dress();
  return () => {
    if (owner !== parentElement) return;
    observer.disconnect();
    document.removeEventListener('keydown', press);
    for (const [kind, action] of HELD) document.removeEventListener(kind, action, true);
  };
}

function canvasHost() {
  return document.querySelector(`.st-key-${shown.canvas} [data-testid=stBidiComponentIsolated]`);
}

function dress() {
  const host = canvasHost();
  const root = host?.shadowRoot;
  if (!root) return;
  observer.observe(root, { childList: true, subtree: true });
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets.push(sheet);
  host.onmousedown = keepSidebar;
  const canvas = root.querySelector('.upper-canvas');
  canvas?.setAttribute('role', 'img');
  canvas?.setAttribute('aria-label', shown.name);
}

// On a narrow page Streamlit closes the open sidebar at a click beside it, and the canvas would move under the pen.
function keepSidebar(event) {
  if (document.querySelector('.stSidebar[data-collapsed=false]')) event.stopPropagation();
}

function down(event) {
  isDown = event.composedPath()[0].matches?.('.upper-canvas') ?? false;
}

function up(event) {
  if (isDown) {
    expected = 1 + (isBehind(event.timeStamp) ? expected : strokesShown());
    penUp = event.timeStamp;
  }
  isDown = false;
}

function strokesShown() {
  return Number(document.querySelector('.st-key-answer-part [data-strokes]')?.dataset.strokes || NaN);
}

// Whether the server does not know yet what was drawn last.
function isBehind(now) {
  return now - penUp < LONGEST && !(strokesShown() >= expected);
}

// A tool that is used right after a stroke waits until the server knows that stroke, or it would act on the one before.
// Clear takes the ink away at once.
function hold(event) {
  const tool = event.target.closest?.(TOOLS);
  if (!tool || tool.disabled) return;
  if (tool.matches('.st-key-clear *')) wipe();
  if (!isBehind(event.timeStamp)) {
    penUp = -LONGEST;
    return;
  }
  event.stopImmediatePropagation();
  event.preventDefault();
  setTimeout(() => tool.click(), STEP);
}

// Takes the ink away before the server has been asked, which has the canvas made anew.
function wipe() {
  for (const canvas of canvasHost()?.shadowRoot?.querySelectorAll('canvas') ?? []) {
    const context = canvas.getContext('2d');
    context.save();
    context.resetTransform();
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (canvas.matches('.lower-canvas')) {
      context.fillStyle = '#ffffff';
      context.fillRect(0, 0, canvas.width, canvas.height);
    }
    context.restore();
  }
}

// Ctrl+Z, and Ctrl+Shift+Z or Ctrl+Y; on a Mac with Cmd. Where text is typed, they belong to the text.
function press(event) {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.composedPath()[0].matches?.(TYPED_IN)) return;
  const key = event.key.toLowerCase();
  const tool = key === 'y' || (key === 'z' && event.shiftKey) ? 'redo' : key === 'z' ? 'undo' : null;
  if (!tool) return;
  event.preventDefault();
  document.querySelector(`.st-key-${tool} button`)?.click();
}
