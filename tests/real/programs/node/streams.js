// HTTP/2 without TLS, by its own interface: streams.
const http2 = require('http2');
http2.createServer().on('stream', (stream, headers) => {
  stream.respond({ ':status': 200 });
  if (headers[':path'] === '/slow') setTimeout(() => stream.end('slow'), 1000);
  else stream.end(String(process.pid));
}).listen(8080);
