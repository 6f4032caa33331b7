// A small HTTP app in Node; it knows nothing of rookery either.
const http = require('http');

const server = http.createServer((request, response) => {
  response.end(`hello from Node, pid ${process.pid}\n`);
});

server.listen(Number(process.env.PORT), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});

process.on('SIGTERM', () => {
  console.log('asked to stop');
  process.exit(0);
});
