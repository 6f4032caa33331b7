// What is told to the parent, over Node's own channel.
'use strict';

class Link {
  constructor() {
    this.isWaiting = false;
  }

  // done is called when it has left, or cannot.
  tell(what, fields, done = () => {}) {
    if (!process.connected) {
      done();
      return;
    }
    try {
      process.send({ type: `rookery.${what}`, pid: process.pid, ...fields }, undefined, { swallowErrors: true }, done);
    } catch {
      done();
    }
  }

  // Every period seconds, from a timer: it is the heartbeat too. Nothing piles up while nobody reads.
  report(period, take) {
    let due = performance.now() + period * 1000;
    setInterval(() => {
      const now = performance.now();
      const lag = Math.max(0, now - due) / 1000;
      due = now + period * 1000;
      if (this.isWaiting) return;
      this.isWaiting = true;
      this.tell('stats', { lag, ...take() }, () => {
        this.isWaiting = false;
      });
    }, period * 1000).unref();
  }
}

module.exports = { Link };
