// A Node child as Node's own documentation writes it; it answers requests by hand.
process.on('message', (message) => {
  if (message.$request) process.send({ $reply: message.$request, message: message.message.n * 2 });
  else if (message === 'bye') process.disconnect();
  else if (message === 'handle') {
    const server = require('net').createServer().listen(0, '127.0.0.1', () => {
      process.send('here is a handle', server, () => server.close());
      process.send('after the handle');
    });
  } else process.send({ echo: message });
});
process.on('warning', () => {});
process.send({ type: 'ready', pid: process.pid });
