// The way out: accept no more -> answer what is there, telling clients to close -> let the app's own handlers run ->
// say good-bye to what would stay for ever -> leave. Never later than the drain's limit.
'use strict';

const cluster = require('node:cluster');

const STEP = 50;
const MANNERS = 1000;
const LAST_STEPS = 100;
const QUIET = 3; // turns in which nobody came

class Drain {
  constructor(settings, { servers, sockets, link }) {
    this.limit = settings.drain * 1000;
    this.grace = settings.grace * 1000;
    this.servers = servers;
    this.sockets = sockets;
    this.link = link;
    this.signals = null;
    this.began = null;
    this.released = null;
    this.timer = null;
    this.isHeard = false;
    this.isEnding = false;
    this.steps = [];
  }

  begin(name) {
    if (this.began !== null) return;
    this.began = performance.now();
    this.name = name;
    const { worker } = cluster;
    worker.exitedAfterDisconnect = true;
    worker.state = 'disconnecting';
    this.link.tell('draining', { why: name });
    for (const one of this.servers.all()) one.drain();
    this.emptyQueue(performance.now() + MANNERS, this.servers.accepted(), 0);
  }

  // What waits in the queue is accepted, one in each turn of the loop: where this is the last worker nobody else would.
  emptyQueue(end, before, quiet) {
    const accepted = this.servers.accepted();
    const turns = accepted === before ? quiet + 1 : 0;
    if (turns <= QUIET && performance.now() < end) {
      setImmediate(() => this.emptyQueue(end, accepted, turns));
      return;
    }
    this.sockets.stop();
    this.timer = setInterval(() => this.step(), STEP);
    this.step();
  }

  step() {
    if (this.timer === null) return;
    const now = performance.now();
    for (const one of this.servers.all()) one.drain(); // one may have begun to listen meanwhile
    const isLate = now - this.began >= this.limit;
    if (!this.isEnding && now - this.began >= this.limit - MANNERS && this.limit > MANNERS) {
      this.isEnding = true;
      for (const one of this.servers.all()) one.end();
    }
    if (this.released === null && (isLate || this.servers.busy(now) === 0)) this.release(now);
    if (this.released !== null) {
      while (this.steps.length && now >= this.steps[0].at) this.steps.shift().run();
      if (isLate || this.servers.connections() === 0) this.leave(isLate);
    }
  }

  // The app's handlers may close its websockets in their own way; who has none is spared the wait.
  release(now) {
    this.released = now;
    this.isHeard = this.signals.release(this.name);
    const first = this.isHeard ? now + MANNERS : now;
    const each = (name) => () => this.servers.all().forEach((one) => one[name]());
    this.steps = [
      { at: first, run: each('farewell') },
      { at: first + MANNERS, run: each('endLasting') },
      { at: first + 2 * MANNERS, run: each('destroyLasting') },
    ];
  }

  leave(isForced) {
    clearInterval(this.timer);
    this.timer = null;
    const left = this.servers.connections();
    for (const one of this.servers.all()) one.destroy();
    // Without handles and channel the process ends by itself; what else keeps it alive gets no more than its grace.
    setTimeout(() => process.exit(), this.isHeard ? this.grace : LAST_STEPS).unref();
    this.link.tell('drained', { left, forced: isForced }, () => {
      if (!this.isHeard) this.link.hangUp();
      else process.channel?.unref(); // its handlers may have something to say yet
    });
  }
}

module.exports = { Drain };
