// PM2's way: it listens, and is ready when it says so.
require('http').createServer((req, res) => res.end('ok')).listen(3000, () => process.send('ready'));
process.on('message', (message) => process.send({ echo: message }));
