// A script worker in Node with a task for each thing that can go well or wrong.
const { spawn } = require('node:child_process')

const tasks = {
  add: ({ a, b }) => a + b,
  echo: data => data,
  pid: () => process.pid,
  boom: data => { throw new RangeError(`no ${data}`) },
  leave: code => { console.error('leaving'); process.exit(code) },
  abort: () => process.abort(),
  spin: () => { for (;;); },
  sleep: seconds => new Promise(done => setTimeout(done, seconds * 1000, seconds)),
  count: (to, progress) => { for (let n = 0; n < to; n++) progress(n); return to },
  print: lines => { for (let n = 0; n < lines; n++) { console.log(`out ${n} ${'x'.repeat(100)}`); console.error(`err ${n}`) } return lines },
  child: () => spawn('sleep', ['600'], { detached: true, stdio: 'ignore' }).pid,
  later: () => { setTimeout(() => { throw new Error('too late') }, 0); return new Promise(() => {}) },
}

process.on('message', async ({ type, id, name, data }) => {
  if (type === 'status') process.send({ type, id, argv: process.argv.slice(2), execArgv: process.execArgv })
  if (type !== 'task') return
  try {
    const result = await tasks[name](data, value => process.send({ type: 'progress', id, value }))
    process.send({ type: 'result', id, result })
  } catch ({ name, message, stack }) {
    process.send({ type: 'error', id, error: { name, message, stack } })
  }
})
process.send({ type: 'ready' })
