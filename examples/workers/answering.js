// A Node worker that answers request() and call(): a request is {"$request": number, "message": ...}.
const handlers = {
  calculate: async ({ a, b }) => a + b,
  slow: async (message, progress) => { progress(50); progress(100); return 'done'; },
};

process.on('message', async ({ $request: number, message }) => {
  if (number === undefined) return;
  try {
    const handler = handlers[message.type];
    if (!handler) throw new Error(`nobody handles ${message.type}`);
    const value = await handler(message, (done) => process.send({ $progress: number, message: done }));
    process.send({ $reply: number, message: value });
  } catch (error) {
    const { name: type, message: text, stack: traceback } = error;
    process.send({ $error: number, message: { type, message: text, traceback } });
  }
});
