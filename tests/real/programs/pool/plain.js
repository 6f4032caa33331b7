// Knows of no protocol: a message in, a message out.
process.on('message', message => {
  if (message === 'die') process.exit(7)
  if (message === 'twice') process.send('unasked')
  if (message === 'spin') for (;;);
  process.send({ got: message, pid: process.pid })
})
