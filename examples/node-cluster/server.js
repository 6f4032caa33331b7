// An ordinary server, knowing nothing of workers.
const http = require('node:http');

const version = process.env.VERSION || '1';
http.createServer((request, response) => {
  if (request.url === '/slow') setTimeout(() => response.end(`${version}\n`), 300);
  else response.end(`${version}\n`);
}).listen(3000);
