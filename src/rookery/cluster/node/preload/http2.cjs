// HTTP/2: a session is told to go (GOAWAY) with its next request, or when it has been idle for the linger.
'use strict';

const { Http1 } = require('./http1.cjs');

const SESSION = Symbol('rookery.session');

class Http2 extends Http1 {
  constructor(server, servers) {
    super(server, servers);
    this.sessions = new Set();
    server.on('session', (session) => {
      const one = { session, open: 0, lastUse: performance.now() };
      session[SESSION] = one;
      this.sessions.add(one);
      this.state(session.socket).session = one;
      session.on('close', () => this.sessions.delete(one));
    });
    server.prependListener('stream', (stream) => this.opened(stream));
  }

  // A listener for 'request' makes Node build a request for each stream: only where the app has one.
  listen() {
    const { server } = this;
    const began = (req, res) => {
      if (req.httpVersionMajor === 1) this.began(req, res);
    };
    const follow = () => {
      if (!server.listeners('request').includes(began)) server.prependListener('request', began);
    };
    if (server.listenerCount('request')) follow();
    server.on('newListener', (name, listener) => {
      if (name === 'request' && listener !== began) follow();
    });
  }

  opened(stream) {
    const one = stream.session[SESSION];
    const began = this.counts.began();
    one.open += 1;
    if (this.isDraining) one.session.close();
    stream.on('close', () => {
      one.open -= 1;
      one.lastUse = performance.now();
      this.counts.ended(began, stream.sentHeaders?.[':status'] ?? 0);
    });
  }

  drained() {
    super.drained();
    for (const { session, open } of this.sessions) if (open) session.close();
  }

  closeIdle(now) {
    if (!this.isDraining) return;
    for (const { session, open, lastUse } of this.sessions) {
      if (!open && now - lastUse >= this.linger) session.close();
    }
    for (const state of this.connections) {
      const isOver = now - state.lastUse >= this.linger && !state.session && !state.open.size;
      if (isOver) state.socket.destroy();
    }
  }

  destroy() {
    for (const { session } of this.sessions) session.destroy();
    super.destroy();
  }
}

module.exports = { Http2 };
