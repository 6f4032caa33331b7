// Which server gets which inherited socket.
//
// The process is a worker of node:cluster (NODE_UNIQUE_ID), so every listen() that is not exclusive ends in
// cluster._getServer, whatever its arguments were; there the primary would be asked for a socket.
'use strict';

const cluster = require('node:cluster');
const dgram = require('node:dgram');
const { constants } = require('node:os');

const { Shared, StandIn } = require('./shared.cjs');
const { Choice, nameOf } = require('./choice.cjs');

const ADDRESS_IN_USE = -constants.errno.EADDRINUSE;
const SETTLING = 20;
const PATIENCE = 1000;

function shareSockets(settings, servers, link) {
  const all = settings.sockets.map((one) => new Shared(one, settings.backlog));
  const choice = new Choice(all);
  const own = new Set();
  let isReady = false;
  let isStopped = false;
  let patience = null;

  function ready() {
    const handles = new Set(all.map((one) => one.owner).filter((owner) => owner !== null));
    if (isReady || !handles.size) return;
    const idle = all.filter((one) => one.owner === null);
    if (idle.length && patience === null) {
      patience = setTimeout(ready, PATIENCE).unref(); // its other servers may come yet
      return;
    }
    isReady = true;
    // A single server has everything that is bound. Of several nobody knows whose it is.
    if (handles.size === 1) [...handles][0].take(idle);
    else for (const one of idle) warn(`nobody listens on ${one}`);
    link.tell('ready');
  }

  cluster._getServer = (server, query, done) => {
    const found = isStopped ? [] : choice.of(query); // who comes too late gets no connections, and no error
    if (found === 'own') {
      if (all.length) warn(`the app listens on ${nameOf(query)} too, which is not shared: each worker opens it for itself`);
      else server.once('listening', () => link.tell('ready'));
      own.add(server);
      servers.watch(server);
      server._listen2(query.address, query.port, query.addressType, query.backlog, query.fd, query.flags);
      return;
    }
    const handle = new StandIn(() => isReady);
    const failed = found === 'taken' ? ADDRESS_IN_USE : handle.take(found, query, nameOf(query));
    if (!failed) servers.watch(server);
    done(failed, handle);
    if (failed) return;
    handle.tellName(query); // not before: Node compares the port with the one that was asked for
    server.once('listening', () => {
      cluster.worker.state = 'listening';
      link.tell('listening', { address: server.address(), asked: nameOf(query) });
      setTimeout(ready, SETTLING);
    });
  };

  bindAlone();
  return {
    // No more connections. The servers do not notice: their own close() may come later.
    stop() {
      isStopped = true;
      all.forEach((one) => one.stop());
      for (const server of own) if (server._handle !== null) server._handle = StandIn.inPlaceOf(server._handle);
    },
  };
}

// A datagram socket is the worker's own, as it is without us.
function bindAlone() {
  const { bind } = dgram.Socket.prototype;
  dgram.Socket.prototype.bind = function bindOwn(port, address, ...rest) {
    if (port !== null && typeof port === 'object') {
      if (typeof port.recvStart === 'function') return Reflect.apply(bind, this, [port, address, ...rest]);
      return Reflect.apply(bind, this, [{ ...port, exclusive: true }, address, ...rest]);
    }
    const done = [port, address, ...rest].findLast((one) => typeof one === 'function');
    const options = { port: typeof port === 'function' ? 0 : port, exclusive: true };
    if (typeof address === 'string') options.address = address;
    return Reflect.apply(bind, this, done ? [options, done] : [options]);
  };
}

function warn(text) {
  process.stderr.write(`rookery: ${text} (see the app's bind)\n`);
}

module.exports = { shareSockets };
