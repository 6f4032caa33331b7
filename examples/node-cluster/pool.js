// An app with an end of its own: the handler runs when the requests are answered, so they still have their database.
const http = require('node:http');

let database = 'open';
const server = http.createServer((request, response) => {
  process.send('asked');
  setTimeout(() => response.end(`the database is ${database}`), 300);
}).listen(3000, () => process.send('ready'));

process.on('SIGTERM', () => {
  database = 'closed';
  server.close(() => {
    console.log('left in order');
    process.exit(0);
  });
});
