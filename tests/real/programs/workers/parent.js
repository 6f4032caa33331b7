// An unmodified Node program whose child is a Python program: argv: python, script, how it ends.
const { fork } = require('node:child_process');
const [python, script, how] = process.argv.slice(2);
const child = fork(script, [], { execPath: python, execArgv: [] });
let answers = 0;
child.on('message', (message) => {
  console.log(JSON.stringify(message));
  answers += 1;
  if (answers === 3) how === 'kill' ? child.kill() : child.disconnect();
});
child.on('disconnect', () => console.log('disconnect'));
child.on('exit', (code, signal) => console.log(`exit ${code} ${signal}`));
child.send({ type: 'calculate', a: 10, b: 20 });
child.send({ type: 'calculate', a: 'ü', b: '\n' });
child.send({ type: 'big', text: 'x'.repeat(1000000) });
