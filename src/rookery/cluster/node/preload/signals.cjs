// The signals that end a worker begin a drain. The app's own handlers get them when its requests are answered: they
// may close what the requests need, or leave at once.
'use strict';

const { constants } = require('node:os');

const OTHER = { SIGTERM: 'SIGINT', SIGINT: 'SIGTERM' };

function holdSignals(drain) {
  const emit = process.emit;
  const ours = (name) => drain.begin(name);
  let isReleased = false;

  // Before the first process.on: Node binds process.emit to the signal then.
  process.emit = function held(name, ...rest) {
    if (!(name in OTHER)) return Reflect.apply(emit, this, [name, ...rest]);
    if (!isReleased) {
      drain.begin(name);
      return true;
    }
    if (appHandlers(name)) return Reflect.apply(emit, this, [name, ...rest]);
    // A handler that has taken itself off and signals its own process wants to die of it.
    process.removeListener(name, ours);
    process.kill(process.pid, name);
    return true;
  };

  // signal-exit listens, but only to know; it keeps its count for such as us.
  function appHandlers(name) {
    const known = [process.__signal_exit_emitter__, globalThis[Symbol.for('signal-exit emitter')]];
    const only = known.reduce((sum, emitter) => sum + (emitter?.count || 0), 0);
    const others = process.listeners(name).filter((listener) => listener !== ours).length;
    return Math.max(0, others - only);
  }

  for (const name of Object.keys(OTHER)) process.on(name, ours);
  process.on('removeListener', (name, listener) => {
    if (listener === ours && !isReleased) process.on(name, ours);
  });

  return {
    // Give the signal to the app. Many know SIGINT alone. True where somebody was there to hear it.
    release(name) {
      isReleased = true;
      const heard = [name, OTHER[name]].find((one) => one && appHandlers(one));
      if (heard) Reflect.apply(emit, process, [heard, heard, constants.signals[heard]]);
      return heard !== undefined;
    },
  };
}

module.exports = { holdSignals };
