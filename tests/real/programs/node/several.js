// Two servers, and what happens with a third one.
const http = require('http');
const answer = (text) => http.createServer((req, res) => res.end(text));
const [, , first, second, third] = process.argv;
answer('first').listen(Number(first));
setTimeout(() => answer('second').listen(Number(second) || second, () => process.send('second')), 50);
if (third) answer('third').on('error', (error) => process.send(error.code)).listen(Number(third));
