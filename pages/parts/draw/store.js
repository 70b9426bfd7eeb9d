// The tab remembers the drawing, so that a reload keeps it: it is asked for once in each visit, and written thereafter.
// A canvas sends no pixels of what it begins with, so it must be there, and empty, before the drawing is put on it.
const PATIENCE = 20000; // milliseconds
let asked = null;

export default function ({ data, setTriggerValue }) {
  const name = data.store + location.pathname; // of this dashboard, where a server has several
  try {
    if (!data.untouched) {
      if (data.objects) sessionStorage.setItem(name, data.objects);
      else sessionStorage.removeItem(name);
    } else if (asked !== data.visit) {
      asked = data.visit;
      const objects = sessionStorage.getItem(name);
      if (objects !== null) onceThere(data.canvas, () => setTriggerValue('found', objects));
    }
  } catch {
    // A browser that lets no page remember anything, or a drawing larger than it may be.
  }
}

function onceThere(canvas, act, since = Date.now()) {
  const host = document.querySelector(`.st-key-${canvas} [data-testid=stBidiComponentIsolated]`);
  if (host?.shadowRoot?.querySelector('.upper-canvas')) act();
  else if (Date.now() - since < PATIENCE) setTimeout(onceThere, 50, canvas, act, since);
}
