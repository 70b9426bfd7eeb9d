// The browser remembers the key of the visitor's notebook, and is asked for it once in each visit. It also remembers the
// notebook before: whoever opens a link to another finds back to their own.
let asked = null;

export default function ({ data, setStateValue, setTriggerValue }) {
  const name = `digitcore-notebook /${data.base}`;
  try {
    if (data.notebook) {
      const known = localStorage.getItem(name);
      if (known && known !== data.notebook) localStorage.setItem(`${name} before`, known);
      localStorage.setItem(name, data.notebook);
      const before = localStorage.getItem(`${name} before`);
      if (before && data.before === null) setStateValue('before', before);
    } else if (asked !== data.visit) {
      asked = data.visit;
      const notebook = localStorage.getItem(name);
      if (notebook !== null) setTriggerValue('found', notebook);
    }
  } catch {
    // A browser that lets no page remember anything: the notebook ends with the visit.
  }
}
