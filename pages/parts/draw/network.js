// A checkpoint of the architecture `compact` (digitcore/models/architectures.py), from the bytes of its safetensors file.

const MEAN = 0.1307;
const STD = 0.3081;
const SHAPES = {
  'features.conv1.weight': [8, 1, 3, 3],
  'features.conv1.bias': [8],
  'features.conv2.weight': [16, 8, 3, 3],
  'features.conv2.bias': [16],
  'features.conv3.weight': [32, 16, 3, 3],
  'features.conv3.bias': [32],
  'head.weight': [10, 288],
  'head.bias': [10],
};

// A function from 28x28 bytes, 255 = ink, to {probabilities, digit, accepted}; the same object in every call. accepted:
// whether the logits speak for a digit, as `refuse_answer` of digitcore/models/refusal.py has it.
//
// Throws where the bytes are not such a checkpoint.
export function createNetwork(bytes) {
  const { tensors, metadata } = parseSafetensors(bytes);
  for (const [name, shape] of Object.entries(SHAPES)) {
    if (String(tensors[name]?.shape) !== String(shape)) throw new Error(`${name} does not have the shape ${shape}`);
  }
  const temperature = JSON.parse(metadata.temperature);
  const threshold = JSON.parse(metadata.refusal_threshold);
  const usesEnergy = JSON.parse(metadata.refusal_score) === 'energy';
  const normalized = Float32Array.from({ length: 256 }, (_, level) =>
    Math.fround((Math.fround(level / 255) - MEAN) / STD),
  );
  const planes = [28, 14, 7].map((side, i) => new Float32Array([1, 8, 16][i] * (side + 2) ** 2)); // each with a margin
  const features = new Float32Array(288);
  const layers = [
    createLayer(tensors, 'conv1', planes[0], 28, planes[1], 1),
    createLayer(tensors, 'conv2', planes[1], 14, planes[2], 1),
    createLayer(tensors, 'conv3', planes[2], 7, features, 0),
  ];
  const { values: headWeights } = tensors['head.weight'];
  const { values: headBiases } = tensors['head.bias'];
  const answer = { probabilities: new Float64Array(10), digit: 0, accepted: false };

  return function run(input) {
    for (let y = 0, i = 0; y < 28; y++) {
      for (let x = 0; x < 28; x++, i++) planes[0][(y + 1) * 30 + x + 1] = normalized[input[i]];
    }
    for (const layer of layers) layer();
    const { probabilities } = answer;
    for (let digit = 0; digit < 10; digit++) {
      let sum = headBiases[digit];
      for (let i = 0; i < 288; i++) sum += headWeights[288 * digit + i] * features[i];
      probabilities[digit] = sum / temperature;
    }
    const energy = softmax(probabilities);
    answer.digit = probabilities.indexOf(Math.max(...probabilities));
    answer.accepted = (usesEnergy ? energy : probabilities[answer.digit]) >= threshold;
    return answer;
  };
}

// Logits to probabilities, in place; returns the logarithm of the sum of their exponentials.
function softmax(values) {
  const most = Math.max(...values);
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i] = Math.exp(values[i] - most);
  for (let i = 0; i < values.length; i++) values[i] /= total;
  return most + Math.log(total);
}

// A 3x3 convolution, 2x2 maximum pooling and ReLU. Planes of the source have a margin of one pixel, which stays 0;
// those of the target have one of `margin` pixels.
function createLayer(tensors, name, source, side, target, margin) {
  const { values: weights, shape } = tensors[`features.${name}.weight`];
  const { values: biases } = tensors[`features.${name}.bias`];
  const [outputs, inputs] = shape;
  const stride = side + 2;
  const half = side >> 1; // pooling leaves out the last row and column of an odd side
  const used = 2 * half;
  const targetStride = half + 2 * margin;
  const sums = new Float64Array(used * used);

  return function run() {
    for (let output = 0; output < outputs; output++) {
      sums.fill(biases[output]);
      for (let i = 0; i < inputs; i++) convolve(9 * (output * inputs + i), i * stride * stride);
      pool(output * targetStride * targetStride + margin * targetStride + margin);
    }
  };

  function convolve(at, plane) {
    const [a, b, c, d, e, f, g, h, i] = weights.subarray(at, at + 9);
    for (let y = 0, to = 0; y < used; y++) {
      let top = plane + y * stride;
      let middle = top + stride;
      let bottom = middle + stride;
      for (let x = 0; x < used; x++, top++, middle++, bottom++, to++) {
        sums[to] +=
          a * source[top] + b * source[top + 1] + c * source[top + 2] +
          d * source[middle] + e * source[middle + 1] + f * source[middle + 2] +
          g * source[bottom] + h * source[bottom + 1] + i * source[bottom + 2];
      }
    }
  }

  function pool(at) {
    for (let y = 0; y < half; y++) {
      for (let x = 0; x < half; x++) {
        const from = 2 * y * used + 2 * x;
        target[at + y * targetStride + x] =
          Math.max(0, sums[from], sums[from + 1], sums[from + used], sums[from + used + 1]);
      }
    }
  }
}

// The arrays of a safetensors file by name, and its metadata.
function parseSafetensors(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 8 + Number(view.getBigUint64(0, true));
  const { __metadata__: metadata, ...headers } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  const tensors = {};
  for (const [name, { shape, data_offsets: [from, to] }] of Object.entries(headers)) {
    tensors[name] = { shape, values: new Float32Array(bytes.slice(start + from, start + to).buffer) };
  }
  return { tensors, metadata };
}
