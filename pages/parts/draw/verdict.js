// The keys 0 to 9 say which digit was written, as a click on it does. Where text is typed, they belong to the text.
const TYPED_IN = 'input:not([type=range], [type=radio], [type=checkbox]), textarea, select, [contenteditable=true]';
let owner = null;

export default function ({ parentElement }) {
  owner = parentElement;
  document.addEventListener('keydown', press);
  return () => { if (owner === parentElement) document.removeEventListener('keydown', press); };
}

function press(event) {
  if (!/^[0-9]$/.test(event.key) || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.composedPath()[0].matches?.(TYPED_IN) || document.querySelector('[role=dialog]')) return;
  const choices = [...document.querySelectorAll('.st-key-true-digit [role=radio]:not(:disabled)')];
  const answer = document.querySelector('[data-testid=answer]')?.textContent.trim();
  // The digit that was answered is chosen by "Right", which comes first.
  const choice = event.key === answer ? choices[0] : choices.find((button) => button.textContent.trim() === event.key);
  if (choice && choice.getAttribute('aria-checked') !== 'true') choice.click();
}
