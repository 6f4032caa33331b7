// The same work in Node, asked for a line at a time on stdin: `spawn COUNT AT_ONCE`, `run COUNT AT_ONCE`,
// `capture PROGRAM BYTES COUNT`, `lines PROGRAM COUNT`. Answers each with its seconds (capture: of the median).
const { spawn, execFile } = require('child_process');
const readline = require('readline');
const now = () => Number(process.hrtime.bigint()) / 1e9;

function one(program, argv) {
  return new Promise((done, failed) => {
    const child = spawn(program, argv, { stdio: 'ignore' });
    child.on('error', failed);
    child.on('close', done);
  });
}

const kept = () => new Promise((done, failed) => execFile(
  '/bin/true', [], (error, out) => (error ? failed(error) : done(out))));

async function many(count, atOnce, work) {
  let left = count;
  const began = now();
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (left-- > 0) await work();
  }));
  return now() - began;
}

async function capture(program, bytes, count) {
  const took = [];
  for (let i = 0; i < count; i++) {
    const began = now();
    const size = await new Promise((done, failed) => execFile(
      program, ['write', String(bytes)], { encoding: 'buffer', maxBuffer: bytes + 1 },
      (error, out) => (error ? failed(error) : done(out.length))));
    if (size !== bytes) throw new Error('lost bytes');
    took.push(now() - began);
  }
  return took.sort((a, b) => a - b)[count >> 1];
}

async function lines(program, count) {
  const began = now();
  const child = spawn(program, ['lines', String(count)], { stdio: ['ignore', 'pipe', 'ignore'] });
  let seen = 0;
  for await (const line of readline.createInterface({ input: child.stdout, crlfDelay: Infinity })) seen++;
  if (seen !== count) throw new Error('lost lines');
  return now() - began;
}

const work = {
  spawn: (count, atOnce) => many(Number(count), Number(atOnce), () => one('/bin/true', [])),
  run: (count, atOnce) => many(Number(count), Number(atOnce), kept),
  capture: (program, bytes, count) => capture(program, Number(bytes), Number(count)),
  lines: (program, count) => lines(program, Number(count)),
};

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [what, ...args] = line.split(' ');
    console.log(await work[what](...args));
  }
})();
