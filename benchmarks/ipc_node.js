// Node's own messages between parent and child: node ipc_node.js oneway|roundtrip COUNT SIZE prints seconds.
const { fork } = require('child_process');

const [work, count, size] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const message = size < 64 ? { id: 1, x: 'hello' } : 'x'.repeat(size);

if (process.send) {
  let left = count;
  process.on('message', () => {
    if (work === 'roundtrip') process.send(message);
    else if (--left === 0) process.send('done');
  });
  process.send('ready');
} else {
  const child = fork(__filename, process.argv.slice(2));
  let left = count;
  let began;
  const finish = () => {
    console.log(Number(process.hrtime.bigint() - began) / 1e9);
    child.disconnect();
  };
  const burst = () => { // Node queues without bound: a few thousand at a time, as a program must do by hand
    let room = 2000;
    while (left > 0 && room-- > 0) {
      left--;
      if (room > 0 && left > 0) child.send(message);
      else child.send(message, burst);
    }
  };
  child.on('message', (got) => {
    if (got === 'ready') {
      began = process.hrtime.bigint();
      if (work === 'roundtrip') child.send(message);
      else burst();
    } else if (got === 'done' || --left === 0) finish();
    else child.send(message);
  });
}
