// A primary of node:cluster with WORKERS workers of cluster_app.js, which replaces them one by one at SIGHUP: the new
// one listens, then the old one is told to close ("shutdown", disconnect()) and has PATIENCE until it is killed.
// NET=1: the workers are net servers which close each connection at once.
const cluster = require("cluster");
const path = require("path");

const PATIENCE = 5000;
const WORKERS = Number(process.env.WORKERS);

if (cluster.isWorker) {
  require("net").createServer((socket) => { socket.on("error", () => {}); socket.destroy(); })
    .listen(Number(process.env.PORT), "127.0.0.1");
} else {
  if (!process.env.NET) cluster.setupPrimary({ exec: path.join(__dirname, "cluster_app.js") });
  const started = () => new Promise((done) => {
    const worker = cluster.fork();
    worker.once("listening", () => done(worker));
  });
  const ended = (worker) => new Promise((done) => {
    const timer = setTimeout(() => worker.process.kill("SIGKILL"), PATIENCE);
    worker.once("exit", () => { clearTimeout(timer); done(); });
    worker.send("shutdown");
    worker.disconnect();
  });
  const workers = [];
  const roll = async () => {
    for (let slot = 0; slot < workers.length; slot++) {
      const old = workers[slot];
      workers[slot] = await started();
      await ended(old);
    }
  };
  let turn = (async () => { for (let slot = 0; slot < WORKERS; slot++) workers.push(await started()); })();
  process.on("SIGHUP", () => { turn = turn.then(roll); });
  process.on("SIGTERM", () => process.exit(0));
  cluster.on("exit", (worker) => {
    const slot = workers.indexOf(worker);
    if (slot >= 0 && !worker.exitedAfterDisconnect) started().then((next) => { workers[slot] = next; });
  });
}
