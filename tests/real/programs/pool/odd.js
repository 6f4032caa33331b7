// A worker that keeps to the protocol only just: the first argument names what it does wrong.
const how = process.argv[2]
const kinds = {
  never_ready: { start: () => setInterval(() => {}, 1000) },
  ready_twice: { start: () => { ready(); ready(); setTimeout(ready, 10) } },
  answer_before_ready: { start: () => { process.send({ type: 'result', id: 1, result: 'early' }); ready() } },
  garbage_first: { start: () => { garbage(); ready() } },
  garbage: { task: ({ id, data }) => { garbage(); answer(id, data) } },
  twice: { task: ({ id, data }) => { answer(id, data); answer(id, 'again'); process.send({ type: 'error', id }) } },
  // Each task gets the answer of the one before once more, in the middle of it.
  previous: { task: ({ id, data }) => { answer(id - 1, 'not yours'); process.send({ type: 'progress', id: id - 1 }); answer(id, data) } },
  float: { task: ({ id, data }) => raw(`{"type":"result","id":${id}.0,"result":${data}}\n`) },
  no_result: { task: ({ id }) => process.send({ type: 'result', id }) },
  bare_error: { task: ({ id, data }) => process.send({ type: 'error', id, error: data }) },
  error_and_exit: { task: ({ id }) => { process.send({ type: 'error', id, error: { message: 'bad' } }, () => process.exit(1)) } },
  one_each: { task: ({ id, data }) => { answer(id, data); process.exit(0) } },
  exit_after: { task: ({ id, data }) => answer(id, data, () => process.exit(0)) },
  closes: { task: () => { process.disconnect(); setInterval(() => {}, 1000) } },
  no_lines: { task: () => raw('this is no JSON\n') },
  throws: { start: () => { throw new Error('at the start') } },
  leaves: { start: () => process.exit(3) },
  ready_and_out: { start: () => process.send({ type: 'ready' }, () => process.exit(0)) },
  ignores: { start: () => { process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); ready() }, task: ({ id, data }) => answer(id, data) },
}

const ready = () => process.send({ type: 'ready' })
const answer = (id, result, then) => process.send({ type: 'result', id, result }, then)
const raw = text => require('node:fs').writeSync(process.channel.fd, text)
const garbage = () => [1, 'text', null, [], {}, { type: 5 }, { type: 'result' }, { type: 'result', id: 'x' }, { type: 'unheard', id: 1 },
  { type: 'status', id: 99 }, { type: 'progress', id: {} }].forEach(message => process.send(message))

const odd = kinds[how]
process.on('message', message => message.type === 'task' && odd.task && odd.task(message))
;(odd.start ?? ready)()
