// The same as a module.
import cluster, { isPrimary } from 'node:cluster';
import { createServer } from 'node:http';

if (isPrimary) cluster.fork();
else createServer((req, res) => res.end(JSON.stringify([cluster.isWorker, cluster.worker.id]))).listen(8000);
