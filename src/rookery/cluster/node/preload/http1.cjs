// HTTP/1: while it drains every answer says "Connection: close", which Node never says by itself, and the client closes.
'use strict';

const { Plain, STATE, hidden } = require('./plain.cjs');

const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9]); // a WebSocket's close frame, code 1001
const EVENTS = /^content-type: *text\/event-stream/im;
// With a listener of its own for these an app answers requests without the event 'request', or gets the bare socket.
const REQUESTS = ['request', 'checkContinue', 'checkExpectation'];
const UPGRADES = ['upgrade', 'connect'];

const REQUEST = Symbol('rookery.request');

function closed() {
  this[REQUEST].watched.ended(this);
}

class Http1 extends Plain {
  constructor(server, servers) {
    super(server, servers);
    this.closeIdleOfNode = server.closeIdleConnections;
    hidden(server, 'closeIdleConnections', () => this.closeIdle(performance.now()));
    this.handshakes = typeof server.addContext === 'function';
    if (this.handshakes) server.prependListener('secureConnection', (socket) => this.secured(socket));
    this.listen();
  }

  listen() {
    const { server } = this;
    const began = (req, res) => this.began(req, res);
    const upgraded = (req, socket) => this.upgraded(req, socket);
    server.prependListener('request', began);
    // Node looks whether anybody listens for the others: only where the app does, we do.
    const follow = (name) => {
      const ours = REQUESTS.includes(name) ? began : UPGRADES.includes(name) ? upgraded : null;
      if (ours !== null && !server.listeners(name).includes(ours)) server.prependListener(name, ours);
    };
    for (const name of [...REQUESTS, ...UPGRADES]) if (server.listenerCount(name)) follow(name);
    server.on('newListener', (name, listener) => {
      if (listener !== began && listener !== upgraded) follow(name);
    });
  }

  // From here on the connection is the encrypted socket; the bare one goes with it.
  secured(socket) {
    const bare = socket._parent?.[STATE];
    if (bare) this.connections.delete(bare);
    else this.handshakes = false;
    this.add(socket);
  }

  began(req, res) {
    if (res[REQUEST]) return; // the app passes it on, from 'checkContinue' to 'request'
    const state = this.state(req.socket);
    state.wasUsed = true;
    if (this.isDraining) {
      // Of answers that wait in line the last one alone may say it.
      for (const earlier of state.open) if (!earlier.headersSent) earlier.maxRequestsOnConnectionReached = false;
      sayClose(res);
    }
    state.open.add(res);
    res[REQUEST] = { watched: this, state, began: this.counts.began() };
    res.on('close', closed);
  }

  ended(res) {
    const { state, began } = res[REQUEST];
    if (!state.open.delete(res)) return;
    state.lastUse = performance.now();
    this.counts.ended(began, res.statusCode);
  }

  upgraded(req, socket) {
    this.state(socket).upgrade = req.headers.upgrade?.toLowerCase() === 'websocket' ? 'websocket' : 'tunnel';
  }

  remove(state) {
    super.remove(state);
    for (const res of state.open) this.ended(res);
  }

  drained() {
    for (const { open } of this.connections) {
      const last = [...open].pop();
      if (last) sayClose(last);
    }
  }

  // Those that have been idle for the linger. Node knows which one is in the middle of a request.
  closeIdle(now) {
    if (!this.isDraining) {
      this.closeIdleOfNode?.call(this.server);
      return;
    }
    const young = [];
    for (const state of this.connections) {
      const { socket } = state;
      const isSilent = !state.wasUsed && !state.upgrade && socket.bytesRead === state.bytes;
      if (now - state.lastUse < this.linger) {
        young.push(socket);
        hidden(socket, 'destroy', () => socket);
      } else if (isSilent || (this.handshakes && !socket.encrypted)) socket.destroy();
    }
    try {
      this.closeIdleOfNode?.call(this.server);
    } finally {
      for (const socket of young) delete socket.destroy;
    }
  }

  busy() {
    let busy = 0;
    for (const state of this.connections) {
      if (!state.upgrade && !(state.open.size && [...state.open].every(isStream))) busy += 1;
    }
    return busy;
  }

  farewell() {
    for (const { socket, upgrade, open } of this.connections) {
      if (upgrade === 'websocket' && socket.writable) socket.write(GOING_AWAY);
      for (const res of open) if (isStream(res)) endStream(res);
    }
  }

  endLasting() {
    for (const { socket, upgrade } of this.connections) if (upgrade === 'websocket') socket.end();
  }

  end() {
    for (const { socket, upgrade } of this.connections) if (upgrade) socket.end();
  }

  destroyLasting() {
    for (const { socket, upgrade } of this.connections) if (upgrade === 'websocket') socket.destroy();
  }
}

const isStream = (res) => res.headersSent && EVENTS.test(res._header);

function sayClose(res) {
  if (res.headersSent) return;
  // Only says so: the client closes, and what it may still be sending is read. (shouldKeepAlive would cut that off.)
  res.maxRequestsOnConnectionReached = true;
  const { writeHead } = res;
  hidden(res, 'writeHead', function closing(status, ...rest) {
    delete this.writeHead;
    if (status !== 101) {
      if (this.hasHeader('connection')) this.setHeader('Connection', 'close');
      const headers = rest.length - 1;
      if (rest[headers] && typeof rest[headers] === 'object') rest[headers] = closingOnes(rest[headers]);
    }
    return Reflect.apply(writeHead, this, [status, ...rest]);
  });
}

// Headers as writeHead takes them: an object, a flat list, or pairs.
function closingOnes(headers) {
  const value = (name, given) => (String(name).toLowerCase() === 'connection' ? 'close' : given);
  if (!Array.isArray(headers)) {
    return Object.fromEntries(Object.entries(headers).map(([name, given]) => [name, value(name, given)]));
  }
  if (Array.isArray(headers[0])) return headers.map(([name, given]) => [name, value(name, given)]);
  return headers.map((given, index) => (index % 2 ? value(headers[index - 1], given) : given));
}

// The app may go on writing to it: that would be an error that nobody handles.
function endStream(res) {
  res.end();
  const swallow = (...rest) => {
    const done = rest.findLast((one) => typeof one === 'function');
    if (done) process.nextTick(done);
    return false;
  };
  hidden(res, 'write', swallow);
  hidden(res, 'end', (...rest) => {
    swallow(...rest);
    return res;
  });
}

module.exports = { Http1 };
