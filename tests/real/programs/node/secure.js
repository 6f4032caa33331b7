// TLS: https, or HTTP/2 with "h2".
const fs = require('fs');
const [, , kind, key, cert] = process.argv;
const options = { key: fs.readFileSync(key), cert: fs.readFileSync(cert), allowHTTP1: true };
const make = kind === 'h2' ? require('http2').createSecureServer : require('https').createServer;
make(options, (req, res) => {
  if (req.url === '/slow') setTimeout(() => res.end('slow'), 1000);
  else res.end(String(process.pid));
}).listen(8443);
