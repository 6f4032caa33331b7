// An inherited socket, and what a server holds in place of a handle of its own.
'use strict';

const net = require('node:net');
const path = require('node:path');

// settings: {fd, host, port} or {fd, path}.
class Shared {
  constructor({ fd, host = '', port, path: file }, backlog) {
    Object.assign(this, { fd, host, port, file, backlog });
    this.isV6 = host.includes(':');
    this.names = new Set([file === undefined ? port : path.resolve(file), `fd ${fd}`]);
    this.base = null;
    this.owner = null;
    this.askedFor = null;
    this.isLent = false;
    this.isClosed = false;
    this.waiting = [];
  }

  toString() {
    return this.file ?? (this.isV6 ? `[${this.host}]:${this.port}` : `${this.host}:${this.port}`);
  }

  get isFree() {
    return this.owner === null && !this.isClosed;
  }

  // An error's number, or 0. The connections that came while it had no owner are the new one's.
  give(handle) {
    this.owner = handle;
    if (this.base === null) {
      const base = net._createServerHandle(null, null, null, this.fd);
      if (typeof base === 'number') return base;
      this.base = base;
      base.onconnection = (error, client) => {
        if (this.owner !== null) this.owner.onconnection(error, client);
        else if (!error) this.waiting.push(client);
      };
      const failed = base.listen(this.backlog); // sets it for all: it is to be what the parent has chosen
      if (failed) return failed;
    }
    const waiting = this.waiting.splice(0);
    if (waiting.length) setImmediate(() => waiting.forEach((client) => handle.onconnection(0, client)));
    return 0;
  }

  stop() {
    this.isClosed = true;
    this.base?.close();
    this.base = null;
  }
}

// node:cluster gives its own workers such a thing too.
class StandIn {
  constructor(isReady) {
    this.isReady = isReady;
    this.shared = [];
  }

  // In place of a handle that is closed, without the server's knowledge.
  static inPlaceOf(real) {
    const handle = new StandIn(() => true);
    const name = {};
    if (real.getsockname) {
      real.getsockname(name);
      handle.getsockname = (out) => Object.assign(out, name) && 0;
    }
    real.close();
    return handle;
  }

  // Listen on these; the first is what was asked for, the others are lent until somebody asks for them.
  take(shared, query = {}, asked = 0) {
    let failed = 0;
    shared.forEach((one, index) => {
      one.owner?.shared.splice(one.owner.shared.indexOf(one), 1);
      one.askedFor = query.address ?? null;
      one.isLent = index > 0;
      if (asked !== 0) one.names.add(asked); // 0 is any port
      this.shared.push(one);
      failed ||= one.give(this);
    });
    return failed;
  }

  // What server.address() says: where it listens indeed, in the form that was asked for.
  tellName(query) {
    const [one] = this.shared;
    const isFile = query.port < 0 && typeof query.address === 'string';
    if (isFile) return;
    const name = one?.port === undefined
      ? { address: query.address ?? '::', family: query.addressType === 6 ? 'IPv6' : 'IPv4', port: Math.max(query.port ?? 0, 0) }
      : { address: one.host, family: one.isV6 ? 'IPv6' : 'IPv4', port: one.port };
    this.getsockname = (out) => Object.assign(out, name) && 0;
  }

  listen() {
    return 0;
  }

  // Before all was ready it may have been a try whether the port is free: connections wait for the next server.
  close(done) {
    for (const one of this.shared.splice(0)) {
      one.owner = null;
      if (this.isReady()) one.stop();
    }
    if (done) setImmediate(done);
  }

  ref() {
    this.shared.forEach((one) => one.base?.ref());
  }

  unref() {
    this.shared.forEach((one) => one.base?.unref());
  }

  // The parent has given the file its mode.
  fchmod() {
    return 0;
  }

  get fd() {
    return this.shared[0]?.fd ?? -1;
  }
}

module.exports = { Shared, StandIn };
