// An ordinary Node worker: it knows nothing of us.
process.on('message', (message) => {
  if (message.type === 'calculate') {
    for (const percent of [50, 100]) process.send({ type: 'progress', percent });
    process.send({ type: 'result', value: message.a + message.b });
  } else if (message.type === 'facts') {
    process.send({ argv: process.argv.slice(2), execArgv: process.execArgv, connected: process.connected,
      env: Object.keys(process.env).filter((name) => name.includes('CHANNEL')) });
  } else if (message.type === 'throw') {
    throw new Error('as asked');
  } else if (message.type === 'disconnect') {
    process.disconnect();
  } else {
    process.send({ echo: message });
  }
});
process.on('disconnect', () => console.log('disconnected'));
console.log('calc is up');
