// No HTTP: an echo.
require('net').createServer((socket) => socket.pipe(socket)).listen(3000);
