// An app with its own way of ending: argv[2].
const http = require('http');
const server = http.createServer((req, res) => {
  process.send('asked');
  setTimeout(() => res.end('slow'), 300);
});
const say = (text) => process.send(text);
const ways = {
  exits: () => process.on('SIGTERM', () => { say('handler'); process.exit(7); }),
  closes: () => process.once('SIGTERM', () => {
    say('handler');
    server.close((error) => { say(`closed ${error}`); process.exit(error ? 1 : 0); });
  }),
  int: () => process.on('SIGINT', () => { say('int'); server.close(() => process.exit(0)); }),
  natural: () => process.on('SIGTERM', () => { say('handler'); server.close(); }),
  forgets: () => process.on('SIGTERM', () => say('handler')),
  // Frameworks end with a second signal, when their own work is done.
  again: () => process.on('SIGTERM', async function end() {
    process.removeListener('SIGTERM', end);
    setInterval(() => {}, 1000);
    await new Promise((resolve) => setTimeout(resolve, 10));
    say('handler');
    setTimeout(() => process.kill(process.pid, 'SIGTERM'), 10);
  }),
  removes: () => process.removeAllListeners('SIGTERM'),
  // signal-exit: it listens to know, and never ends the process where others listen too.
  watches: () => {
    process.__signal_exit_emitter__ = { count: 1 };
    process.on('SIGTERM', () => {});
  },
  busy: () => setInterval(() => {}, 1000),
};
ways[process.argv[2]]();
server.listen(3000);
