// A server of its own, and one that may be shared.
const http = require('http');
const answer = (text) => http.createServer((req, res) => res.end(text));
answer('own').listen({ path: process.argv[2], exclusive: true }, () => answer('shared').listen(3000));
