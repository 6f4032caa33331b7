// The servers of this worker: who is connected, what is being answered, and how a connection ends without a loss.
'use strict';

const http = require('node:http');
const https = require('node:https');

const { Http1 } = require('./http1.cjs');
const { Http2 } = require('./http2.cjs');
const { Plain } = require('./plain.cjs');

class Servers {
  constructor(counts, linger) {
    this.counts = counts;
    this.linger = linger;
    this.watched = new Map();
  }

  watch(server) {
    if (this.watched.has(server)) return;
    const isHttp1 = server instanceof http.Server || server instanceof https.Server;
    const Kind = typeof server.updateSettings === 'function' ? Http2 : isHttp1 ? Http1 : Plain;
    this.watched.set(server, new Kind(server, this));
  }

  all() {
    return [...this.watched.values()];
  }

  accepted() {
    return this.all().reduce((sum, one) => sum + one.accepted, 0);
  }

  connections() {
    return this.all().reduce((sum, one) => sum + one.connections.size, 0);
  }

  // Those that must be waited for; the others would stay for ever.
  busy(now) {
    return this.all().reduce((sum, one) => sum + one.busy(now), 0);
  }
}

module.exports = { Servers };
