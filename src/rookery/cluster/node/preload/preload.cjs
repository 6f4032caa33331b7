// Runs in a Node worker before its script, and makes of any Node server a worker that shares its sockets and drains.
//
//   preload.cjs   once per process: takes its settings out of the environment
//   sockets.cjs   listen() of whatever server gets an inherited socket
//   servers.cjs   what each server is doing: connections, requests
//   drain.cjs     the way from SIGTERM to the exit
//   signals.cjs   the app's own signal handlers wait until its requests are answered
//   link.cjs      what is told to the parent; counts.cjs: numbers, once a second
'use strict';

const { isMainThread } = require('node:worker_threads');

const text = process.env.ROOKERY_NODE;

// Threads run this file too, and own no socket.
if (isMainThread && text !== undefined) {
  const settings = JSON.parse(text);
  // Processes that the app starts are none of ours.
  delete process.env.ROOKERY_NODE;
  if (settings.nodeOptions === null) delete process.env.NODE_OPTIONS;
  else process.env.NODE_OPTIONS = settings.nodeOptions;
  require('./start.cjs').start(settings);
}
