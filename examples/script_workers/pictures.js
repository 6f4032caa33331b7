// The workers of node_tasks.py: tasks by their names, and the protocol below them.
const tasks = {
  resize: ({ file, width }) => {
    if (file.startsWith('broken')) throw new TypeError(`${file} is no picture`)
    return `${file} is ${width} wide`
  },
  album: async (files, progress) => {
    for (const [index] of files.entries()) progress(100 * (index + 1) / files.length)
    return `${files.length} pictures`
  },
}

process.on('message', async ({ type, id, name, data }) => {
  if (type === 'status') process.send({ type, id, uptime: process.uptime() })
  if (type !== 'task') return
  try {
    const result = await tasks[name](data, value => process.send({ type: 'progress', id, value }))
    process.send({ type: 'result', id, result })
  } catch ({ name, message, stack }) {
    process.send({ type: 'error', id, error: { name, message, stack } })
  }
})
process.send({ type: 'ready' })
