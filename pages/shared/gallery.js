// A grid of digits cut from one picture. Clicking a digit, or walking with the arrow keys, picks it.
export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector('.gallery');
  const { sheet, columns, side, tiles, picked } = data;
  root.style.setProperty('--side', `${side}px`);
  root.style.setProperty('--sheet', `url(${sheet})`);
  root.style.setProperty('--sheet-width', `${columns * side}px`);
  root.replaceChildren(...tiles.map(make));
  root.querySelector('[aria-pressed=true]')?.scrollIntoView({ block: 'nearest' });

  function make(tile, i) {
    const button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('aria-label', tile.alt);
    button.setAttribute('aria-pressed', String(tile.id === picked));
    button.title = tile.alt;
    if (tile.marked) button.classList.add('marked');
    const picture = document.createElement('span');
    picture.className = 'picture';
    picture.style.backgroundPosition = `-${(i % columns) * side}px -${Math.floor(i / columns) * side}px`;
    const caption = document.createElement('span');
    caption.textContent = tile.caption;
    button.append(picture, caption);
    button.onclick = () => pick(button, tile.id);
    button.onkeydown = walk;
    return button;
  }

  function pick(button, id) {
    root.querySelector('[aria-pressed=true]')?.setAttribute('aria-pressed', 'false');
    button.setAttribute('aria-pressed', 'true');
    setStateValue('picked', id);
  }

  function walk(event) {
    const step = { ArrowRight: 'nextElementSibling', ArrowLeft: 'previousElementSibling' }[event.key];
    const next = step && event.currentTarget[step];
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    next.focus();
    next.click();
  }
}
