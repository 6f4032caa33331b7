// The application of cluster_apps.py for Node: a plain server that knows of no cluster. With GRACEFUL=1 it does what
// the manuals of PM2 and node:cluster ask for: says that it is ready, and ends when all its connections have ended.
const http = require("http");

const server = http.createServer((request, response) => {
  const answer = () => {
    const body = Buffer.from(request.url);
    response.writeHead(200, {
      "Content-Type": "text/plain", "X-Worker": process.pid, "Content-Length": body.length,
    });
    response.end(body);
  };
  if (request.url.startsWith("/slow")) setTimeout(answer, 200);
  else answer();
});

server.listen(Number(process.env.PORT), "127.0.0.1", () => {
  if (process.env.GRACEFUL && process.send) process.send("ready");
});

if (process.env.GRACEFUL) {
  let isClosing = false;
  const close = () => {
    if (isClosing) return;
    isClosing = true;
    server.close(() => process.exit(0));
    setInterval(() => server.closeIdleConnections(), 100);
  };
  process.on("SIGINT", close);
  process.on("message", (message) => { if (message === "shutdown") close(); });
}
