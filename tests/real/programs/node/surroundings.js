// What it finds in its environment, and what its own children and threads find.
const { execFileSync, fork } = require('child_process');
const { Worker, isMainThread, parentPort } = require('worker_threads');
const http = require('http');

const NAMES = ['NODE_OPTIONS', 'ROOKERY_NODE', 'NODE_UNIQUE_ID', 'NODE_CHANNEL_FD', 'NODE_APP_INSTANCE', 'PORT'];
const facts = () => ({
  env: Object.fromEntries(NAMES.map((name) => [name, process.env[name] ?? null])),
  execArgv: process.execArgv,
  isWorker: require('cluster').isWorker,
});
if (!isMainThread) parentPort.postMessage(facts());
else if (process.argv[2] === 'fork') process.send(facts());
else if (process.argv[2] === 'print') console.log(JSON.stringify(facts()));
else {
  const found = { own: facts(), argv: process.argv.slice(2) };
  found.exec = JSON.parse(execFileSync(process.execPath, [__filename, 'print']));
  const child = fork(__filename, ['fork']);
  child.on('message', (message) => {
    found.fork = message;
    new Worker(__filename).on('message', (thread) => {
      found.thread = thread;
      http.createServer((req, res) => res.end(JSON.stringify(found))).listen(3000);
    });
  });
}
