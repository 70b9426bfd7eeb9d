// Lets the details follow the answer: asks for them anew once there is another answer and the pen rests, and again
// while some of them are still being computed.
//
// The run that answers a stroke holds no details, and Streamlit interrupts no run of a fragment: so they are not asked
// for while the pen is down, nor before what it has drawn can have been answered.
//
// Streamlit sends what changes in one moment as one message, and runs only the fragment of the first change. A question
// must not share its message with a click, which would be lost, nor with what the canvas answers to Undo.

const PEN_PAUSE = 350; // milliseconds after pen-up; the canvas itself waits for 200
const CLICK_PAUSE = 150; // milliseconds after anything else that the visitor did
const SHORTEST = 60;
const LONGEST = 800; // from one question to the next, while something takes long
const LOST = 4000; // when a question that had no answer is asked again
const MOST_AWAITED = 2000; // milliseconds that a canvas takes at most to show what it was told to
const ACTIONS = ['pointerdown', 'pointerup', 'click', 'keydown', 'input', 'change'];
const state = { wait: SHORTEST, penUp: 0, acted: 0, awaited: 0 };

export default function ({ data, setTriggerValue }) {
  const isOther = data.shown !== state.shown;
  Object.assign(state, { shown: data.shown, pending: data.pending, ask: () => setTriggerValue('due', Date.now()) });
  if (isOther || !data.pending) state.wait = SHORTEST;
  if (!state.listens) listen();
  arm();
  return () => { clearTimeout(state.timer); state.ask = undefined; };
}

function listen() {
  state.listens = true;
  addEventListener('digitcore-answer', arm);
  addEventListener('pointerdown', () => { state.penDown = true; }, true);
  for (const kind of ['pointerup', 'pointercancel']) {
    addEventListener(kind, () => Object.assign(state, { penDown: false, penUp: Date.now() }), true);
  }
  for (const kind of ACTIONS) addEventListener(kind, () => { state.acted = Date.now(); }, true);
  addEventListener('click', hold, true);
}

// A click while a question is about to be sent comes right after it.
function hold(event) {
  if (!state.isAsking || !event.isTrusted) return;
  event.stopImmediatePropagation();
  event.preventDefault();
  const target = event.composedPath()[0];
  setTimeout(() => target.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true, composed: true })), 0);
}

function arm() {
  clearTimeout(state.timer);
  if (!state.ask) return;
  const isBehind = window.digitcoreAnswer !== undefined && window.digitcoreAnswer !== state.shown;
  if (isBehind || state.pending) state.timer = setTimeout(ask, isBehind ? SHORTEST : state.wait);
}

function ask() {
  const now = Date.now();
  if (!document.querySelector('.st-key-canvas') || !document.querySelector('[data-strokes=""]')) state.awaited = now;
  const mustWait = state.penDown || now - state.penUp < PEN_PAUSE || now - state.acted < CLICK_PAUSE
    || (state.awaited < now && now - state.awaited < MOST_AWAITED);
  state.timer = setTimeout(ask, mustWait ? SHORTEST : LOST);
  if (mustWait) return;
  state.wait = Math.min(1.5 * state.wait, LONGEST);
  state.isAsking = true;
  state.ask();
  setTimeout(() => { state.isAsking = false; }, 0);
}
