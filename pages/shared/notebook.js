// The browser remembers the key of the visitor's notebook, and is asked for it once in each visit.
let asked = null;

export default function ({ data, setTriggerValue }) {
  const name = `digitcore-notebook /${data.base}`;
  try {
    if (data.notebook) localStorage.setItem(name, data.notebook);
    else if (asked !== data.visit) {
      asked = data.visit;
      const notebook = localStorage.getItem(name);
      if (notebook !== null) setTriggerValue('found', notebook);
    }
  } catch {
    // A browser that lets no page remember anything: the notebook ends with the visit.
  }
}
