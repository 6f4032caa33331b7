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
      process.send({ type: 'rookery.node', what, pid: process.pid, ...fields }, undefined, { swallowErrors: true }, done);
    } catch {
      done();
    }
  }

  // The channel ends. What the app says afterwards is lost; by itself Node would end the process for it.
  hangUp() {
    quiet();
    if (process.connected) process.disconnect();
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

function quiet() {
  if (process.send === undefined) return;
  process.send = function lost(...rest) {
    const done = rest.findLast((one) => typeof one === 'function');
    if (done) process.nextTick(done, new Error('Channel closed'));
    return false;
  };
}

module.exports = { Link, quiet };
