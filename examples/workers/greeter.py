"""A Python child of a Node program: see node_parent.js."""

from rookery.worker import connect

parent = connect()
for message in parent:
    parent.send({"greeting": f"Hello, {message['name']}!"})
