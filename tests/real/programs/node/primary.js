// Written for node:cluster.
const cluster = require('cluster');
const http = require('http');

if (cluster.isPrimary) {
  for (let i = 0; i < 2; i++) cluster.fork();
} else {
  const { worker } = cluster;
  worker.on('disconnect', () => console.log('disconnect', worker.exitedAfterDisconnect));
  process.on('exit', (code) => console.log('exit', code));
  http.createServer((req, res) => {
    if (req.url === '/leave') worker.disconnect();
    if (req.url === '/kill') worker.kill();
    const facts = [cluster.isWorker, cluster.isPrimary, cluster.isMaster, worker.id, worker.process === process];
    facts.push(worker.isConnected(), worker.isDead(), worker.exitedAfterDisconnect === true, worker.state);
    res.end(JSON.stringify(facts));
  }).listen(8000);
}
