// Listens in the way that argv[2] names, and answers with what server.address() said.
const http = require('http');

const way = process.argv[2];
const file = process.argv[3];
let said;
const server = http.createServer((req, res) => res.end(JSON.stringify(said)));
const done = () => {
  said = server.address();
};
const ways = {
  port: () => server.listen(3000, done),
  text: () => server.listen('3000', done),
  host: () => server.listen(3000, '127.0.0.1', done),
  backlog: () => server.listen(3000, '0.0.0.0', 64, done),
  localhost: () => server.listen(3000, 'localhost', done),
  options: () => server.listen({ port: 3000, host: '127.0.0.1', backlog: 5 }, done),
  any: () => server.listen(0, done),
  nothing: () => server.listen(done),
  event: () => server.on('listening', done).listen({ port: 0 }),
  right: () => server.listen(process.env.PORT, done),
  path: () => server.listen(file, done),
  paths: () => server.listen({ path: file, readableAll: true, writableAll: true }, done),
  // The port is tried first, as tools do that look for a free one.
  tried: () => {
    const trial = require('net').createServer();
    trial.listen(3000, () => trial.close(() => server.listen(3000, done)));
  },
  // As fastify does for "localhost": a second server for the other address, at the port of the first.
  both: () => {
    server.listen({ port: 3000, host: '127.0.0.1' }, () => {
      done();
      const second = http.createServer((req, res) => res.end('second'));
      second.listen({ port: server.address().port, host: '::1' }, () => process.send('second listens'));
    });
  },
  express: () => {
    const app = (req, res) => res.end(JSON.stringify(said));
    app.listen = (...args) => http.createServer(app).listen(...args);
    const it = app.listen(3000, () => {
      said = it.address();
    });
  },
};
ways[way]();
