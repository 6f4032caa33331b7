// Asked over HTTP to misbehave; told things by its parent.
const http = require('http');
const cluster = require('cluster');

if (process.env.BROKEN === 'throws') throw new Error('the new code is broken');
const notes = [];
process.on('message', (message) => {
  notes.push(message);
  process.send({ got: message, by: cluster.worker.id });
});
const ways = {
  '/leave': () => cluster.worker.disconnect(),
  '/exit': () => setImmediate(() => process.exit(0)),
  '/stuck': () => setImmediate(() => { for (;;); }),
};
const server = http.createServer((req, res) => {
  res.end(req.url === '/notes' ? JSON.stringify(notes) : `${process.env.VERSION || 1} ${process.pid}`);
  ways[req.url]?.();
});
if (process.env.BROKEN !== 'silent') server.listen(3000);
if (process.env.BROKEN === 'soon') setTimeout(() => process.exit(3), 200);
