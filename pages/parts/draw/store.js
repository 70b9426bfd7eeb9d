// The tab remembers the drawing, so that a reload keeps it: it is asked for once in each visit, and written thereafter.
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
      if (objects !== null) setTriggerValue('found', objects);
    }
  } catch {
    // A browser that lets no page remember anything, or a drawing larger than it may be.
  }
}
