// A server of which nothing is known but its connections; what the other kinds stand on.
'use strict';

const STATE = Symbol('rookery.connection');
const STEP = 50;

class Plain {
  constructor(server, servers) {
    this.server = server;
    this.counts = servers.counts;
    this.linger = servers.linger * 1000;
    this.connections = new Set();
    this.accepted = 0;
    this.drainingSince = null;
    this.timer = null;
    this.close = server.close;
    const watched = this;
    // Whoever closes it drains it: what is connected is not cut off.
    hidden(server, 'close', function close(done) {
      watched.drain();
      return Reflect.apply(watched.close, this, typeof done === 'function' ? [done] : []);
    });
    server.prependListener('connection', (socket) => {
      this.accepted += 1;
      this.add(socket);
    });
  }

  get isDraining() {
    return this.drainingSince !== null;
  }

  add(socket) {
    const now = performance.now();
    const state = { socket, since: now, lastUse: now, bytes: socket.bytesRead, open: new Set(), upgrade: '', wasUsed: false };
    socket[STATE] = state;
    this.connections.add(state);
    socket.on('close', () => this.remove(state));
    return state;
  }

  state(socket) {
    return socket[STATE] ?? this.add(socket);
  }

  remove(state) {
    this.connections.delete(state);
  }

  drain() {
    if (this.isDraining) return;
    this.drainingSince = performance.now();
    this.timer = setInterval(() => {
      this.closeIdle(performance.now());
      if (this.connections.size === 0 && this.server._handle === null) clearInterval(this.timer);
    }, STEP).unref();
    this.drained();
  }

  // For those who know more.
  drained() {}

  closeIdle() {}

  // Its end cannot be told to the other side; a moment for what it may just be sending.
  busy(now) {
    return now - this.drainingSince < this.linger ? this.connections.size : 0;
  }

  // The last word to those who would stay for ever.
  farewell() {}

  // After that: those to whom it was said get the end, and then no more.
  endLasting() {}

  destroyLasting() {}

  // The time is nearly over.
  end() {
    for (const { socket } of this.connections) socket.end();
  }

  destroy() {
    for (const { socket } of this.connections) socket.destroy();
  }
}

function hidden(object, name, value) {
  Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });
}

module.exports = { Plain, STATE, hidden };
