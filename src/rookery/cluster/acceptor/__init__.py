"""Accepting for the workers: one small process accepts and hands each connection to the worker it chooses.

clients ──► listening sockets (the parent's) ──► acceptor ══ descriptors ══► worker, worker, ...
                                                    ▲                         │ page: taken, closed
parent ── "here is a worker", "it has gone", ───────┘ ◄───────────────────────┘
          connections that a dead worker had not taken

Each worker has a stream of its own. The parent keeps both its ends too, so
- the death of the acceptor loses nothing that it has passed, and its successor goes on with the same streams;
- what a dead worker has not taken is read back by the parent and goes to others;
- a worker leaves when its stream ends: the kernel has given it all that was passed before, and takes no more for it.
"""
