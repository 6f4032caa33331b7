// Answers HTTP with its pid; writes its port into the file in argv[2].
const fs = require("fs");
const server = require("http").createServer((_, answer) => answer.end(String(process.pid)));
server.listen(0, "127.0.0.1", () => {
  fs.writeFileSync(process.argv[2] + ".new", String(server.address().port));
  fs.renameSync(process.argv[2] + ".new", process.argv[2]);
});
