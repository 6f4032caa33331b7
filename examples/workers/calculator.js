// An ordinary Node worker: process.send, process.on('message'), nothing of ours.
process.on('message', (message) => {
  if (message.type !== 'calculate') return;
  process.send({ type: 'progress', percent: 50 });
  process.send({ type: 'result', value: message.a + message.b });
});
