// It listens when it is told to end.
const http = require('http');
process.on('SIGTERM', () => {
  const server = http.createServer();
  server.listen(3000, () => {
    console.log('listening');
    server.close();
  });
});
setTimeout(() => {}, 500);
process.send('up');
