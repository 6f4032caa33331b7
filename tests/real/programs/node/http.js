// A plain server, knowing nothing of us: / answers with the pid, /slow after 200 ms.
const http = require('http');
http.createServer((req, res) => {
  const answer = () => {
    const body = String(process.pid);
    res.writeHead(200, { 'Content-Length': body.length });
    res.end(body);
  };
  if (req.url === '/slow') setTimeout(answer, 200);
  else answer();
}).listen(3000, () => console.log('listening'));
