"""A child that talks over stdin and stdout; what it prints must not get between."""

from rookery.ipc.stdio import SyncStdioChannel

channel = SyncStdioChannel()
print("this is no message")
channel.on("double", lambda message: message["n"] * 2)
channel.send("ready")
channel.serve()
