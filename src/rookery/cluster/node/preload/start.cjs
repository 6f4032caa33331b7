// Puts the parts together.
'use strict';

const cluster = require('node:cluster');

const { Counts } = require('./counts.cjs');
const { Drain } = require('./drain.cjs');
const { Link, quiet } = require('./link.cjs');
const { Servers } = require('./servers.cjs');
const { holdSignals } = require('./signals.cjs');
const { shareSockets } = require('./sockets.cjs');

function start(settings) {
  if (!cluster.worker) {
    process.stderr.write('rookery: a Node worker is a script in a file, run by node itself\n');
    process.exit(1);
  }
  const link = new Link();
  const counts = new Counts();
  const servers = new Servers(counts, settings.linger);
  const sockets = shareSockets(settings, servers, link);
  const drain = new Drain(settings, { servers, sockets, link });
  drain.signals = holdSignals(drain);
  leaveLikeAWorker(settings, drain);
  link.report(settings.period, () => ({ ...counts.take(), accepted: servers.accepted(), connections: servers.connections() }));
}

// cluster.worker leaves by a drain, whoever asks for it.
function leaveLikeAWorker(settings, drain) {
  const { worker } = cluster;
  worker.disconnect = function disconnect() {
    drain.begin('disconnect');
    return this;
  };
  worker.kill = worker.destroy = () => drain.begin('disconnect');

  // Node's own listener ends the process at once, requests and all, when the parent is gone.
  process.removeListener('disconnect', process.listeners('disconnect')[0]);
  process.prependOnceListener('disconnect', () => {
    quiet();
    worker.emit('disconnect');
    if (settings.orphan === 'drain' || worker.exitedAfterDisconnect) drain.begin('disconnect');
  });
  process.on('internalMessage', (message) => {
    if (message.cmd === 'NODE_ROOKERY' && message.act === 'drain') drain.begin('disconnect');
  });
}

module.exports = { start };
