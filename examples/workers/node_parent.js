// A Node program whose child is a Python program: node node_parent.js python3
const { fork } = require('node:child_process');
const path = require('node:path');

const child = fork(path.join(__dirname, 'greeter.py'), [], { execPath: process.argv[2] || 'python3' });
child.send({ name: 'Ada' });
child.on('message', (message) => {
  console.log(message.greeting);
  child.disconnect();
});
child.on('exit', (code) => console.log(`it left with ${code}`));
