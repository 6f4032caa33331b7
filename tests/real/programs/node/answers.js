// One server with everything that a drain has to do with.
const http = require('http');
const crypto = require('crypto');

const server = http.createServer((req, res) => {
  const url = new URL(req.url, 'http://x');
  switch (url.pathname) {
    case '/hang':
      return;
    case '/slow':
      process.send('slow');
      setTimeout(() => res.end('slow'), 300);
      return;
    case '/insists':
      res.writeHead(200, { Connection: 'keep-alive', 'Content-Length': 2 });
      res.end('ok');
      return;
    case '/sets':
      res.setHeader('connection', 'keep-alive');
      res.end('ok');
      return;
    case '/error':
      res.writeHead(503);
      res.end();
      return;
    case '/early': // answered before the body has come
      res.end('early');
      return;
    case '/events':
      res.writeHead(200, { 'Content-Type': 'text/event-stream' });
      res.write('data: 1\n\n');
      setInterval(() => res.write('data: 2\n\n'), 20);
      return;
    default:
      res.end('ok');
  }
});
server.on('upgrade', (req, socket) => {
  const key = crypto.createHash('sha1').update(req.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11');
  const accept = key.digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  socket.on('error', () => {});
});
server.listen(3000);
