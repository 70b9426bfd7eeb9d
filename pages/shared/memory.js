// The browser remembers a key of the visitor, and is asked for it once in each visit. It also remembers the key before:
// whoever opens a link to another notebook finds back to their own.
const asked = {};

export default function ({ data, setStateValue, setTriggerValue }) {
  const name = `digitcore-${data.name} /${data.base}`;
  try {
    if (data.value === '') {
      localStorage.removeItem(name);
    } else if (data.value) {
      const known = localStorage.getItem(name);
      if (known && known !== data.value) localStorage.setItem(`${name} before`, known);
      localStorage.setItem(name, data.value);
      const before = localStorage.getItem(`${name} before`);
      if (before && data.before === null) setStateValue('before', before);
    } else if (asked[name] !== data.visit) {
      asked[name] = data.visit;
      const value = localStorage.getItem(name);
      if (value !== null) setTriggerValue('found', value);
    }
  } catch {
    // A browser that lets no page remember anything: the key ends with the visit.
  }
}
