// Shows the drawing canvas in our style. It is an element of another component, in a shadow root of this document;
// whenever that is made anew, a sheet of ours is put into it.
const sheet = new CSSStyleSheet();

export default function ({ data }) {
  sheet.replaceSync(data.sheet);
  const observer = new MutationObserver(dress);
  const observed = new WeakSet();
  watch(document.body);
  dress();
  return () => observer.disconnect();

  function watch(node) {
    if (observed.has(node)) return;
    observed.add(node);
    observer.observe(node, { childList: true, subtree: true });
  }

  function dress() {
    for (const host of document.querySelectorAll(`.st-key-${data.canvas} [data-testid=stBidiComponentIsolated]`)) {
      const root = host.shadowRoot;
      if (!root) continue;
      watch(root);
      if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets.push(sheet);
      const canvas = root.querySelector('.upper-canvas');
      canvas?.setAttribute('role', 'img');
      canvas?.setAttribute('aria-label', data.name);
      host.onmousedown = keepSidebar;
    }
  }
}

// On a narrow page Streamlit closes the open sidebar at a click beside it, and the canvas would move under the pen.
function keepSidebar(event) {
  if (document.querySelector('.stSidebar[data-collapsed=false]')) event.stopPropagation();
}
