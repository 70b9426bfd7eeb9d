// From the pixels of the drawing canvas to the 28x28 model input, to the same bytes as digitcore/imaging/preprocessing.py.
//
// All sums are whole numbers below 2^53 and all roundings those of Python, so the bytes are equal, not only close.
// Ported is what a canvas can give: an opaque, clean picture. Any other is reported as such, never guessed at.

const INPUT_SIDE = 28;
const FITTED_SIDE = 20;

// Python computes these in single precision.
const single = Math.fround;
const LEAST_CONTRAST = single(0.1);
const LEAST_DIFFERENCE = single(0.5 / 255);
const FAINT = single(0.06);
const SOLID = single(0.3);
const FULL_INK = 0.98;

// As in digitcore/imaging/photograph.py, surroundings.py, components.py and segmentation.py.
const LEAST_OUTLINED = 24;
const LINED = 0.9;
const LEAST_SHEET_SIDE = 0.3;
const SHEET_SKEW = 0.02;
const SKEW = 0.15;
const MOST_FRAME = 0.5;
const LEAST_GROUND = 0.1;
const LONGEST_DOT = 1.3;
const LARGEST_DOT = 1 / 3;
const LEAST_GAP = 0.5;
const LONGEST_SLIP = 2.0;
const FAR_GAP = 2.0;
const LEAST_BODY = 0.5;
const LARGEST_GAP = 0.3;
const LEAST_OVERLAP = 0.6;
const MOST_PARTS = 60;
const SAME_LINE = 0.3;

function roundHalfToEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  return rest < 0.5 ? below : rest > 0.5 ? below + 1 : below + (below & 1);
}

function medianOf(values) {
  values.sort((a, b) => a - b);
  const half = values.length >> 1;
  return values.length % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// A function from RGBA pixels of one size to {kind, several, input}. All memory is taken here, once.
//
// kind: "digit", "blank", or "other" where the server would take the picture for a photograph, for ink on a transparent
// ground, or for a sheet or a frame with a digit inside. several: whether separate digits are on it, which the server reads as a number. input: 28x28
// bytes, 255 = ink, of everything as one digit; the same array in every call.
export function createPreprocessor(width, height) {
  const size = width * height;
  const difference = new Float32Array(size);
  const ink = new Uint8Array(size);
  const digit = new Uint8Array(size); // ink without specks
  const faint = new Int32Array(size);
  const input = new Uint8Array(INPUT_SIDE * INPUT_SIDE);
  const tables = [0, 1, 2].map(() => new Float32Array(256));
  const counts = [0, 1, 2].map(() => new Int32Array(256));
  const fitting = createFitting(height);
  const findComponents = createComponents(width, height);
  const result = { kind: 'blank', several: false, input };

  return function preprocess(pixels) {
    result.kind = extractInk(pixels);
    result.several = false;
    input.fill(0);
    const box = result.kind === 'digit' ? boxOf(ink) : null;
    if (result.kind === 'digit' && box === null) result.kind = 'blank';
    if (result.kind !== 'digit') return result;
    const components = findComponents(ink, box);
    if (isOutlined(box, SKEW) && (inkedShare(box) > MOST_FRAME ? isSheet(box) : components.specks.length > 1)) {
      result.kind = 'other';
      return result;
    }
    result.several = components.several;
    let digitInk = ink;
    let digitBox = box;
    if (components.specks.some(Boolean) && Math.max(box.right - box.left, box.bottom - box.top) > FITTED_SIDE) {
      components.copyWithoutSpecks(digit);
      digitInk = digit;
      digitBox = boxOf(digit);
    }
    centreMass(fitting(digitInk, width, digitBox), input);
    return result;
  };

  // Ink of a picture whose margin shows the ground; where it stands in `ink`, the kind is "digit".
  function extractInk(pixels) {
    const words = new Uint32Array(pixels.buffer, pixels.byteOffset, size);
    const ground = measureGround(pixels);
    difference.fill(0);
    let most = 0;
    for (let i = 0; i < size; i++) {
      if (words[i] === ground) continue;
      const at = 4 * i;
      if (pixels[at + 3] < 128) return 'other';
      const value = Math.max(tables[0][pixels[at]], tables[1][pixels[at + 1]], tables[2][pixels[at + 2]]);
      difference[i] = value;
      if (value > most) most = value;
    }
    if (most < LEAST_CONTRAST) return 'blank';
    if (isNoisy(most)) return 'other';
    const gain = single(most >= FULL_INK ? 255 : 255 * (1 / most));
    for (let i = 0; i < size; i++) {
      const value = difference[i];
      ink[i] = value === 0 ? 0 : Math.min(255, roundHalfToEven(single(value * gain)));
    }
    return 'digit';
  }

  // Fills the tables of differences from the median colour of the margin. Returns the pixel that has this colour as
  // a word, so that most of the canvas can be passed over, or -1 where no pixel can have it.
  function measureGround(pixels) {
    const margin = Math.max(1, Math.floor(Math.min(width, height) / 50));
    for (const count of counts) count.fill(0);
    let total = 0;
    for (let y = 0; y < height; y++) {
      const isInside = y >= margin && y < height - margin;
      for (let x = 0; x < width; x++) {
        if (isInside && x === margin) x = width - margin;
        const at = 4 * (y * width + x);
        counts[0][pixels[at]]++;
        counts[1][pixels[at + 1]]++;
        counts[2][pixels[at + 2]]++;
        total++;
      }
    }
    let word = 255; // opaque
    for (let channel = 2; channel >= 0; channel--) {
      const low = levelAt(counts[channel], Math.floor((total - 1) / 2));
      const high = levelAt(counts[channel], Math.floor(total / 2));
      const ground = single(single(single(low / 255) + single(high / 255)) / 2);
      for (let level = 0; level < 256; level++) tables[channel][level] = Math.abs(single(single(level / 255) - ground));
      word = low === high && word >= 0 ? word * 256 + low : -1;
    }
    return word;
  }

  function levelAt(count, position) {
    let level = 0;
    for (let passed = count[0]; passed <= position; passed += count[level]) level++;
    return level;
  }

  // Whether the ground is uneven: `is_noisy` of photograph.py, which tells the server to take another road.
  function isNoisy(most) {
    let inked = 0;
    let solid = 0;
    let faintCount = 0;
    for (let i = 0; i < size; i++) {
      if (difference[i] === 0) continue;
      const relative = single(difference[i] / most);
      if (relative >= LEAST_DIFFERENCE) inked++;
      if (relative >= SOLID) solid++;
      if (relative > LEAST_DIFFERENCE && relative < FAINT) faint[faintCount++] = i;
    }
    if ((size - inked) / size < LEAST_GROUND) return true;
    let rough = 0;
    for (let i = 0; i < faintCount; i++) if (isRough(faint[i], most)) rough++;
    return rough > Math.max(20, 0.02 * solid);
  }

  // Whether a faint pixel is far from any stroke, and above or below both its neighbours in its row or column.
  function isRough(place, most) {
    const x = place % width;
    const y = (place - x) / width;
    const inRow = x > 0 && x < width - 1 && isExtreme(place, 1);
    if (!inRow && !(y > 0 && y < height - 1 && isExtreme(place, width))) return false;
    for (let v = Math.max(0, y - 2); v <= Math.min(height - 1, y + 2); v++) {
      for (let u = Math.max(0, x - 2); u <= Math.min(width - 1, x + 2); u++) {
        if (single(difference[v * width + u] / most) >= SOLID) return false;
      }
    }
    return true;
  }

  function isExtreme(place, step) {
    return (difference[place] - difference[place - step]) * (difference[place + step] - difference[place]) < 0;
  }

  // Whether ink runs along all four sides of a box: `_is_outlined` of surroundings.py.
  function isOutlined({ left, top, right, bottom }, skew) {
    if (Math.min(right - left, bottom - top) < LEAST_OUTLINED) return false;
    const wide = Math.max(1, roundHalfToEven(skew * (right - left)));
    const high = Math.max(1, roundHalfToEven(skew * (bottom - top)));
    const counts = [0, 0, 0, 0];
    for (let y = top; y < bottom; y++) {
      if (hasInk(left, y, left + wide, y + 1)) counts[0]++;
      if (hasInk(right - wide, y, right, y + 1)) counts[1]++;
    }
    for (let x = left; x < right; x++) {
      if (hasInk(x, top, x + 1, top + high)) counts[2]++;
      if (hasInk(x, bottom - high, x + 1, bottom)) counts[3]++;
    }
    return counts.every((count, i) => count >= LINED * (i < 2 ? bottom - top : right - left));
  }

  function hasInk(left, top, right, bottom) {
    for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) if (ink[y * width + x]) return true;
    return false;
  }

  function inkedShare({ left, top, right, bottom }) {
    let inked = 0;
    for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) if (ink[y * width + x]) inked++;
    return inked / ((right - left) * (bottom - top));
  }

  // Whether a box of ink has an even outline, and something inside.
  function isSheet({ left, top, right, bottom }) {
    if (Math.min(right - left, bottom - top) < LEAST_SHEET_SIDE * Math.max(width, height)) return false;
    const across = Math.floor((right - left) / 10);
    const down = Math.floor((bottom - top) / 10);
    let least = 255;
    let most = 0;
    for (let y = top + down; y < bottom - down; y++) {
      for (let x = left + across; x < right - across; x++) {
        least = Math.min(least, ink[y * width + x]);
        most = Math.max(most, ink[y * width + x]);
      }
    }
    return most - least > 255 * LEAST_CONTRAST && isOutlined({ left, top, right, bottom }, SHEET_SKEW);
  }

  // The smallest box around what is not 0; null where there is nothing. Right and bottom are exclusive.
  function boxOf(values) {
    let left = width;
    let right = 0;
    let top = height;
    let bottom = 0;
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        if (values[i] === 0) continue;
        if (x < left) left = x;
        if (x >= right) right = x + 1;
        if (y < top) top = y;
        bottom = y + 1;
      }
    }
    return right ? { left, top, right, bottom } : null;
  }
}

// Brings the longer side of what is in a box to 20 pixels: `_fit` and `resize_ink`.
function createFitting(longest) {
  const rows = new Float64Array(longest * FITTED_SIDE); // each row of the source, already as wide as the result
  const sums = new Float64Array(FITTED_SIDE * FITTED_SIDE);
  const fitted = { values: new Uint8Array(FITTED_SIDE * FITTED_SIDE), width: 0, height: 0 };

  return function fit(ink, stride, { left, top, right, bottom }) {
    const width = right - left;
    const height = bottom - top;
    const origin = top * stride + left;
    const scale = FITTED_SIDE / Math.max(height, width);
    fitted.height = Math.max(1, roundHalfToEven(height * scale));
    fitted.width = Math.max(1, roundHalfToEven(width * scale));
    if (fitted.height === height && fitted.width === width) copy(ink, stride, origin);
    else if (Math.max(height, width) > FITTED_SIDE) average(ink, stride, origin, width, height);
    else enlarge(ink, stride, origin, width, height);
    return fitted;
  };

  function copy(ink, stride, origin) {
    for (let y = 0, i = 0; y < fitted.height; y++) {
      for (let x = 0; x < fitted.width; x++, i++) fitted.values[i] = ink[origin + y * stride + x];
    }
  }

  // Means over equal stretches, which may cut pixels: `area_sums`. A pixel lies in one stretch or in two.
  function average(ink, stride, origin, width, height) {
    const columns = fitted.width;
    rows.fill(0, 0, height * columns);
    for (let y = 0; y < height; y++) {
      const base = y * columns;
      for (let x = 0; x < width; x++) {
        const value = ink[origin + y * stride + x];
        if (value === 0) continue;
        const start = x * columns;
        const first = Math.floor(start / width);
        const inFirst = Math.min(columns, (first + 1) * width - start);
        rows[base + first] += inFirst * value;
        if (inFirst < columns) rows[base + first + 1] += (columns - inFirst) * value;
      }
    }
    sums.fill(0);
    for (let y = 0; y < height; y++) {
      const start = y * fitted.height;
      const first = Math.floor(start / height);
      const inFirst = Math.min(fitted.height, (first + 1) * height - start);
      for (let x = 0; x < columns; x++) {
        const value = rows[y * columns + x];
        sums[first * columns + x] += inFirst * value;
        if (inFirst < fitted.height) sums[(first + 1) * columns + x] += (fitted.height - inFirst) * value;
      }
    }
    toLevels(255 * width * height);
  }

  // Cubic convolution: `cubic_sums`. Only for drawings of less than 20 pixels, so speed does not matter.
  function enlarge(ink, stride, origin, width, height) {
    for (let y = 0, i = 0; y < fitted.height; y++) {
      for (let x = 0; x < fitted.width; x++, i++) {
        let sum = 0;
        let downWeights = 0;
        let acrossWeights = 0;
        for (let u = 0; u < width; u++) acrossWeights += cubicWeight(x, u, fitted.width, width);
        for (let v = 0; v < height; v++) {
          const down = cubicWeight(y, v, fitted.height, height);
          downWeights += down;
          for (let u = 0; u < width; u++) {
            sum += down * cubicWeight(x, u, fitted.width, width) * ink[origin + v * stride + u];
          }
        }
        sums[i] = Math.min(255, Math.max(0, sum / (downWeights * acrossWeights)));
      }
    }
    toLevels(255);
  }

  function cubicWeight(place, pixel, target, source) {
    const unit = 2 * target;
    const distance = Math.abs((2 * place + 1) * source - target - unit * pixel);
    if (distance <= unit) return 3 * distance ** 3 - 5 * distance ** 2 * unit + 2 * unit ** 3;
    if (distance >= 2 * unit) return 0;
    return -(distance ** 3) + 5 * distance ** 2 * unit - 8 * distance * unit ** 2 + 4 * unit ** 3;
  }

  // Sums from 0 to full as bytes, the peak at 255 unless it is nearly there already: `_stretched_levels`.
  function toLevels(full) {
    const count = fitted.width * fitted.height;
    let peak = 0;
    for (let i = 0; i < count; i++) peak = Math.max(peak, sums[i]);
    const top = peak >= FULL_INK * full || peak === 0 ? full : peak;
    for (let i = 0; i < count; i++) fitted.values[i] = Math.floor((510 * sums[i] + top) / (2 * top));
  }
}

// Places what was fitted so that its centre of mass comes to (14, 14): `centre_mass`.
function centreMass({ values, width, height }, input) {
  let mass = 0;
  let across = 0;
  let down = 0;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      mass += values[i];
      across += x * values[i];
      down += y * values[i];
    }
  }
  const top = shift(down / mass, height);
  const left = shift(across / mass, width);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) input[(top + y) * INPUT_SIDE + left + x] = values[i];
  }
}

function shift(centre, length) {
  return Math.min(INPUT_SIDE - length, Math.max(0, INPUT_SIDE / 2 - Math.floor(centre + 0.5)));
}

// A function from ink and the box around it to its connected components: which are specks (`Components.specks`), and
// whether the rest are several digits (`find_lines`). Ink is held as runs: stretches of a row without a gap.
function createComponents(width, height) {
  const most = height * Math.ceil(width / 2);
  const starts = new Int32Array(most);
  const ends = new Int32Array(most); // exclusive
  const ys = new Int32Array(most);
  const parents = new Int32Array(most); // of each run: an earlier one that it is connected with, or itself
  const names = new Int32Array(most); // of each run: its component
  const padded = (width + 2) * (height + 2);
  const mask = new Uint8Array(padded);
  const squares = new Int32Array(padded);
  const measureDistances = createDistances(Math.max(width, height) + 2);
  let boxes = [];
  let runs = 0;
  let source;

  return function findComponents(ink, box) {
    source = ink;
    findRuns(box);
    nameComponents();
    const specks = findSpecks(box);
    return { several: areSeveral(box, specks), specks, copyWithoutSpecks: (target) => copyWithout(specks, target) };
  };

  function findRuns({ left, top, right, bottom }) {
    runs = 0;
    let above = 0; // first run of the row above
    for (let y = top; y < bottom; y++) {
      const first = runs;
      let before = above;
      for (let x = left; x < right; x++) {
        if (source[y * width + x] === 0) continue;
        const start = x;
        while (x < right && source[y * width + x] !== 0) x++;
        starts[runs] = start;
        ends[runs] = x;
        ys[runs] = y;
        parents[runs] = runs;
        // Pixels touch by a corner too, so runs one column apart are connected.
        while (before < first && ends[before] < start) before++;
        for (let other = before; other < first && starts[other] <= x; other++) connect(runs, other);
        runs++;
      }
      above = first;
    }
  }

  function root(run) {
    while (parents[run] !== run) {
      parents[run] = parents[parents[run]];
      run = parents[run];
    }
    return run;
  }

  function connect(one, other) {
    const first = root(one);
    const second = root(other);
    parents[Math.max(first, second)] = Math.min(first, second);
  }

  function nameComponents() {
    boxes = [];
    for (let run = 0; run < runs; run++) {
      const first = root(run); // and named already, since it stands before all others of its component
      const isFirst = first === run;
      const name = isFirst ? boxes.length : names[first];
      if (isFirst) boxes.push({ left: width, top: ys[run], right: 0, bottom: 0 });
      const box = boxes[name];
      box.left = Math.min(box.left, starts[run]);
      box.right = Math.max(box.right, ends[run]);
      box.bottom = ys[run] + 1;
      names[run] = name;
    }
  }

  function findSpecks(box) {
    const specks = boxes.map(() => false);
    const lengths = boxes.map(longerSide);
    if (boxes.length < 2 || Math.min(...lengths) > LARGEST_DOT * longerSide(box)) return specks;
    const { thickness, strokeWidth } = measureWidths(box);
    const widths = thickness.map((value) => Math.max(value, strokeWidth));
    const small = lengths.map((length, i) => length <= LONGEST_SLIP * widths[i]);
    const rest = boxes.filter((_, i) => !small[i]);
    if (rest.length === 0) return specks;
    const largest = LARGEST_DOT * longerSide(around(rest));
    const nearest = distancesFrom(box, (component) => !small[component]);
    return small.map((isSmall, i) => {
      const gap = (nearest[i] - 1) / strokeWidth;
      return isSmall && lengths[i] <= largest && gap >= (lengths[i] <= LONGEST_DOT * widths[i] ? LEAST_GAP : FAR_GAP);
    });
  }

  // Twice the greatest depth of each component, and four times the median depth of all ink: the width of the pen.
  function measureWidths({ left, top, right, bottom }) {
    const stride = right - left + 2; // a margin around the box, since beyond the picture there is no ink
    const rows = bottom - top + 2;
    mask.fill(1, 0, stride * rows);
    forEachRun((component, y, start, end) => {
      const base = (y - top + 1) * stride + 1 - left;
      mask.fill(0, base + start, base + end);
    });
    measureDistances(mask, squares, stride, rows);
    const deepest = new Int32Array(boxes.length);
    const counts = new Int32Array(((Math.min(stride, rows) >> 1) + 2) ** 2);
    let total = 0;
    forEachRun((component, y, start, end) => {
      const base = (y - top + 1) * stride + 1 - left;
      for (let x = start; x < end; x++) {
        const square = squares[base + x];
        counts[square]++;
        total++;
        if (square > deepest[component]) deepest[component] = square;
      }
    });
    const median = (depthAt(counts, (total - 1) >> 1) + depthAt(counts, total >> 1)) / 2;
    return { thickness: Array.from(deepest, (square) => 2 * Math.sqrt(square)), strokeWidth: 4 * median };
  }

  function depthAt(counts, position) {
    let square = 0;
    for (let passed = counts[0]; passed <= position; passed += counts[square]) square++;
    return Math.sqrt(square);
  }

  // Distance of the nearest pixel of each component from those components that `isFrom` names.
  function distancesFrom({ left, top, right, bottom }, isFrom) {
    const stride = right - left;
    mask.fill(0, 0, stride * (bottom - top));
    forEachRun((component, y, start, end) => {
      const base = (y - top) * stride - left;
      if (isFrom(component)) mask.fill(1, base + start, base + end);
    });
    measureDistances(mask, squares, stride, bottom - top);
    const nearest = boxes.map(() => Infinity);
    forEachRun((component, y, start, end) => {
      const base = (y - top) * stride - left;
      for (let x = start; x < end; x++) nearest[component] = Math.min(nearest[component], squares[base + x]);
    });
    return nearest.map(Math.sqrt);
  }

  // Components joined by their places relative to the height of the writing: `_grouped`.
  function areSeveral(box, specks) {
    const numbers = boxes.map((_, i) => i).filter((i) => !specks[i]);
    if (numbers.length < 2 || numbers.length > MOST_PARTS) return false;
    const heights = boxes.map(heightOf);
    const tallest = Math.max(...numbers.map((i) => heights[i]));
    const height = medianOf(numbers.map((i) => heights[i]).filter((value) => value >= LEAST_BODY * tallest));
    const bodies = numbers.filter((i) => heights[i] >= LEAST_BODY * height);
    const groups = boxes.map((_, i) => i);
    bodies.forEach((one, i) => {
      for (const other of bodies.slice(i + 1)) if (belongTogether(boxes[one], boxes[other])) join(groups, one, other);
    });
    for (const part of numbers.filter((i) => !bodies.includes(i))) {
      const distances = distancesFrom(box, (component) => component === part);
      const nearest = bodies.reduce((best, body) => (distances[body] < distances[best] ? body : best));
      if (distances[nearest] - 1 <= LARGEST_GAP * height) join(groups, nearest, part);
    }
    return new Set(numbers.map((i) => groups[i])).size > 1;
  }

  function join(groups, one, other) {
    const [joined, emptied] = [groups[one], groups[other]];
    groups.forEach((group, i) => {
      if (group === emptied) groups[i] = joined;
    });
  }

  function copyWithout(specks, target) {
    target.fill(0);
    forEachRun((component, y, start, end) => {
      if (!specks[component]) target.set(source.subarray(y * width + start, y * width + end), y * width + start);
    });
  }

  function forEachRun(use) {
    for (let run = 0; run < runs; run++) use(names[run], ys[run], starts[run], ends[run]);
  }
}

function heightOf(box) {
  return box.bottom - box.top;
}

function longerSide(box) {
  return Math.max(box.right - box.left, heightOf(box));
}

function around(boxes) {
  return {
    left: Math.min(...boxes.map((box) => box.left)),
    top: Math.min(...boxes.map((box) => box.top)),
    right: Math.max(...boxes.map((box) => box.right)),
    bottom: Math.max(...boxes.map((box) => box.bottom)),
  };
}

// Whether two bodies are one digit: above each other, but in one line.
function belongTogether(one, other) {
  const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
  const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
  return (
    across / Math.min(one.right - one.left, other.right - other.left) >= LEAST_OVERLAP &&
    down >= SAME_LINE * Math.min(heightOf(one), heightOf(other))
  );
}

// Squares of the distances of all pixels to the nearest marked one, in whole numbers.
// Source: A. Meijster et al., "A general algorithm for computing distance transforms in linear time" (2000).
function createDistances(longest) {
  const column = new Int32Array(longest); // distance to the nearest marked pixel of the same column
  const places = new Int32Array(longest);
  const from = new Int32Array(longest);

  return function measureDistances(marked, squares, width, height) {
    const far = width + height;
    for (let i = 0; i < width; i++) squares[i] = marked[i] ? 0 : far;
    for (let i = width; i < width * height; i++) squares[i] = marked[i] ? 0 : squares[i - width] + 1;
    for (let i = width * (height - 1) - 1; i >= 0; i--) squares[i] = Math.min(squares[i], squares[i + width] + 1);
    for (let y = 0; y < height; y++) measureRow(squares, y * width, width);
  };

  function measureRow(squares, base, width) {
    for (let x = 0; x < width; x++) column[x] = squares[base + x];
    let last = 0;
    places[0] = 0;
    from[0] = 0;
    for (let x = 1; x < width; x++) {
      while (last >= 0 && square(from[last], places[last]) > square(from[last], x)) last--;
      if (last < 0) {
        last = 0;
        places[0] = x;
        continue;
      }
      const start = 1 + crossing(places[last], x);
      if (start >= width) continue;
      last++;
      places[last] = x;
      from[last] = start;
    }
    for (let x = width - 1; x >= 0; x--) {
      squares[base + x] = square(x, places[last]);
      if (x === from[last]) last--;
    }
  }

  function square(x, place) {
    return (x - place) ** 2 + column[place] ** 2;
  }

  // The last pixel that is no further from the first place than from the second.
  function crossing(first, second) {
    return Math.floor((second ** 2 - first ** 2 + column[second] ** 2 - column[first] ** 2) / (2 * (second - first)));
  }
}
