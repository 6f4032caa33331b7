// One of Node's pools does one work: pool_node.js CONTENDER WORK WORKERS SIZE; figures as JSON on stdout.
// The same file is what the workers run: piscina takes its exports, workerpool the methods it registers.
"use strict";

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { isMainThread } = require("node:worker_threads");

const busy = (milliseconds) => {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
};

const tasks = {
  nothing: (value) => value,
  summed: (array) => {
    let sum = 0;
    for (let index = 0; index < array.length; index++) sum += array[index];
    return sum;
  },
  who: (number) => {
    const began = Number(process.hrtime.bigint()) / 1e9;
    busy(1);
    if (typeof number === "string") {
      fs.writeFileSync(number, String(Number(process.hrtime.bigint()) / 1e9));
      process.kill(process.pid, "SIGKILL");
      busy(1000);
    }
    return [number, process.pid, began];
  },
};

module.exports = tasks;

const contenders = {
  piscina: () => require("piscina"),
  workerpool: () => require("workerpool"),
};

function make(name, workers) {
  if (name === "piscina") {
    const { Piscina } = contenders.piscina();
    const pool = new Piscina({ filename: __filename, minThreads: workers, maxThreads: workers });
    return { run: (task, value) => pool.run(value, { name: task }), close: () => pool.destroy() };
  }
  const pool = contenders.workerpool().pool(__filename, {
    workerType: "process",
    minWorkers: workers,
    maxWorkers: workers,
    forkArgs: ["--worker"],
    forkOpts: { serialization: "advanced" },
  });
  return { run: (task, value) => pool.exec(task, [value]), close: () => pool.terminate() };
}

const seconds = (began) => (performance.now() - began) / 1000;
const sorted = (values) => values.sort((a, b) => a - b);
const middle = (values) => sorted(values)[values.length >> 1];

function check(found, expected) {
  if (found !== expected) throw new Error(`wrong answers: ${found}, not ${expected}`);
}

async function warm(pool) {
  await Promise.all(Array.from({ length: 200 }, (_, number) => pool.run("nothing", number)));
}

const works = {
  async first(create, _size, name) {
    const before = performance.now();
    contenders[name]();
    const began = performance.now();
    const pool = create();
    check(await pool.run("nothing", 1), 1);
    const first = seconds(began);
    const withImport = seconds(before);
    const again = performance.now();
    const other = create();
    check(await other.run("nothing", 2), 2);
    const found = { "with import": withImport, first, second: seconds(again) };
    await other.close();
    await pool.close();
    return found;
  },

  async asyncio(create, size) {
    const pool = create();
    await warm(pool);
    const began = performance.now();
    const found = await Promise.all(Array.from({ length: size }, (_, number) => pool.run("nothing", number)));
    const took = seconds(began);
    found.forEach((value, number) => check(value, number));
    await pool.close();
    return { seconds: took };
  },

  async "asyncio trips"(create, size) {
    const pool = create();
    await warm(pool);
    const took = [];
    for (let number = 0; number < size; number++) {
      const began = performance.now();
      check(await pool.run("nothing", number), number);
      took.push(seconds(began));
    }
    await pool.close();
    return { p50: middle(took), p99: took[Math.floor((took.length * 99) / 100)] };
  },

  async array(create, size) {
    const pool = create();
    await warm(pool);
    const values = new Float64Array((size * 1e6) / 8);
    const took = [];
    for (let number = 0; number < 4; number++) {
      values.fill(number + 1);
      const began = performance.now();
      const found = await pool.run("summed", values);
      took.push(seconds(began));
      check(found, values.length * (number + 1));
    }
    await pool.close();
    return { first: took[0], seconds: middle(took.slice(1)) };
  },

  async echo(create, size) {
    const pool = create();
    await warm(pool);
    const took = [];
    for (let number = 0; number < size; number++) {
      const data = new Uint8Array(1e6).fill(number);
      const began = performance.now();
      const found = await pool.run("nothing", data);
      took.push(seconds(began));
      check(found[found.length - 1], number);
    }
    await pool.close();
    return { seconds: middle(took) };
  },

  async killed(create, size, name) {
    if (name === "piscina") throw new Error("its threads are in the caller's process");
    const pool = create();
    await warm(pool);
    const note = path.join(os.tmpdir(), `pool-node-${process.pid}`);
    const found = [];
    let [failed, why] = [0, null];
    const one = async (number) => {
      try {
        found.push(await pool.run("who", number === size / 4 ? note : number));
      } catch (error) {
        failed++;
        why ??= error.name;
      }
    };
    const all = Promise.all(Array.from({ length: size }, (_, number) => one(number)));
    await Promise.race([all, new Promise((resolve) => setTimeout(resolve, 5000))]);
    const at = Number(fs.readFileSync(note, "utf8"));
    fs.rmSync(note);
    const before = new Set(found.filter(([, , began]) => began < at).map(([, pid]) => pid));
    const fresh = sorted(found.filter(([, pid]) => !before.has(pid)).map(([, , began]) => began - at));
    const done = found.length;
    return { done, failed, hanging: size - done - failed, why, fresh: fresh[0] ?? null };
  },
};

async function main() {
  const [name, work, workers, size] = process.argv.slice(2);
  const create = () => make(name, Number(workers));
  console.log(JSON.stringify(await works[work](create, Number(size), name)));
  process.exit(0);
}

if (process.argv.includes("--worker")) contenders.workerpool().worker(tasks);
else if (isMainThread) main();
