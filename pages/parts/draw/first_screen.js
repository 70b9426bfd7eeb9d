// A digit draws itself once on the empty canvas, and says what it is read as. It is a picture above the canvas that
// lets every pointer through, and is gone at the first touch, key or drawing. Not for whoever wants less motion.
const LENGTH = 2200; // milliseconds to draw it
const STAY = 3500;
let isOver = matchMedia('(prefers-reduced-motion: reduce)').matches;
let picture = null;

export default function ({ data }) {
  if (!data.play) end();
  else if (!isOver && !picture && !remembered(data.store)) play(data);
  return end;
}

// What the tab remembers is about to be put on the canvas.
function remembered(store) {
  try {
    return sessionStorage.getItem(store + location.pathname) !== null;
  } catch {
    return false; // a browser that lets no page remember anything
  }
}

function play({ canvas, side, paths, width, words }) {
  const host = document.querySelector(`.st-key-${canvas}`);
  if (!host) return;
  picture = document.createElement('div');
  picture.className = 'ghost-digit';
  picture.setAttribute('aria-hidden', 'true');
  const drawing = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  drawing.setAttribute('viewBox', `0 0 ${side} ${side}`);
  for (const path of paths) {
    const line = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    line.setAttribute('d', path);
    line.setAttribute('pathLength', '1');
    line.setAttribute('stroke-width', width);
    drawing.append(line);
  }
  const label = document.createElement('span');
  label.textContent = words;
  picture.append(drawing, label);
  host.append(picture);
  animate(drawing, label);
  for (const kind of ['pointerdown', 'keydown']) addEventListener(kind, end, { capture: true, once: true });
}

function animate(drawing, label) {
  const share = LENGTH / drawing.children.length;
  [...drawing.children].forEach((line, i) => line.animate(
    [{ strokeDashoffset: 1, opacity: 1 }, { strokeDashoffset: 0, opacity: 1 }],
    { delay: 600 + i * share, duration: share, easing: 'ease-in-out', fill: 'both' },
  ));
  label.animate([{ opacity: 0 }, { opacity: 1 }], { delay: 700 + LENGTH, duration: 300, fill: 'both' });
  const fading = picture.animate([{ opacity: 1 }, { opacity: 0 }], { delay: LENGTH + STAY, duration: 600, fill: 'both' });
  fading.onfinish = end;
}

function end() {
  isOver ||= picture !== null;
  picture?.remove();
  picture = null;
}
