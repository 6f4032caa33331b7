// A worker of no_protocol.py.
process.on('message', number => {
  if (typeof number !== 'number') {
    console.error(`${number} is no number`)
    process.exit(2)
  }
  while (number < 0); // for ever
  process.send(number * number)
})
