// Prints what the live module answers for pictures of the canvas, one JSON object a line.
// node live_answers.mjs MODULE WEIGHTS SIDE PICTURES; a picture is its length as uint32, then its pixels, deflated.
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';
import zlib from 'node:zlib';

const [module, weights, side, pictures] = process.argv.slice(2);
const { createNetwork, createPreprocessor } = await import(pathToFileURL(module));
const preprocess = createPreprocessor(Number(side), Number(side));
const answer = createNetwork(new Uint8Array(fs.readFileSync(weights)));

const data = fs.readFileSync(pictures);
for (let at = 0; at < data.length; ) {
  const end = at + 4 + data.readUInt32LE(at);
  const { kind, several, input } = preprocess(new Uint8ClampedArray(zlib.inflateSync(data.subarray(at + 4, end))));
  const { probabilities, digit, accepted } = answer(input);
  console.log(JSON.stringify({ kind, several, input: [...input], probabilities: [...probabilities], digit, accepted }));
  at = end;
}
