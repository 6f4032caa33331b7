// A datagram socket beside the server.
const dgram = require('dgram');
const socket = dgram.createSocket('udp4');
socket.bind(0, '127.0.0.1', () => {
  process.send(socket.address().address);
  require('http').createServer((req, res) => res.end('ok')).listen(3000);
});
