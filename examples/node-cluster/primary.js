// Written for node:cluster. In a Cluster of rookery's it is a worker from the start: nothing is forked.
const cluster = require('node:cluster');
const http = require('node:http');
const { availableParallelism } = require('node:os');

if (cluster.isPrimary) {
  for (let i = 0; i < availableParallelism(); i++) cluster.fork();
} else {
  http.createServer((request, response) => response.end('ok')).listen(8000);
  process.on('message', ({ add }) => process.send({ worker: cluster.worker.id, sum: add[0] + add[1] }));
}
