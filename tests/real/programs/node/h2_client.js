// One request that takes long, then on each line of stdin one more by a session of its own.
const http2 = require('http2');
const url = process.argv[2];

function ask(path, session) {
  const stream = session.request({ ':path': path });
  let status;
  let body = '';
  stream.on('response', (headers) => { status = headers[':status']; });
  stream.on('data', (data) => { body += data; });
  stream.on('end', () => console.log(status, body));
  stream.on('error', (error) => console.log(error.message));
}

const first = http2.connect(url);
first.on('close', () => console.log('session closed'));
first.on('connect', () => {
  ask('/slow', first);
  first.ping(() => console.log('sent'));
});
process.stdin.on('data', () => {
  const session = http2.connect(url);
  ask('/', session);
}).on('end', () => process.exit(0));
