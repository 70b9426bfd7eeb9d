// Lets the details follow the answer: asks for them anew once there is another answer and the pen rests, and again
// while some of them are still being computed.
//
// The run that answers a stroke holds no details, and Streamlit interrupts no run of a fragment: so they are not asked
// for while the pen is down, nor before what it has drawn can have been answered.

const PEN_PAUSE = 350; // milliseconds after pen-up; the canvas itself waits for 200
const SHORTEST = 60;
const LONGEST = 800; // from one question to the next, while something takes long
const LOST = 4000; // when a question that had no answer is asked again
const state = { wait: SHORTEST, penUp: 0 };

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
}

function arm() {
  clearTimeout(state.timer);
  if (!state.ask) return;
  const isBehind = window.digitcoreAnswer !== undefined && window.digitcoreAnswer !== state.shown;
  if (isBehind || state.pending) state.timer = setTimeout(ask, isBehind ? SHORTEST : state.wait);
}

function ask() {
  const isDrawing = state.penDown || Date.now() - state.penUp < PEN_PAUSE;
  state.timer = setTimeout(ask, isDrawing ? SHORTEST : LOST);
  if (isDrawing) return;
  state.wait = Math.min(1.5 * state.wait, LONGEST);
  state.ask();
}
