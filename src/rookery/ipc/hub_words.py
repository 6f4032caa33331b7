"""What a member says to its hub."""

from __future__ import annotations

from typing import Any

TASK = "hub.task"
BROADCAST = "hub.broadcast"
MEMBERS = "hub.members"


def task(message: Any, *, to: str = "", assign: str = "", timeout: float | None = None) -> dict[str, Any]:
    """A request to the hub to have another member handle a message; its answer is the answer.

    to: a member's name, or "" for the hub's choice among the others; assign: "round-robin" or "least-busy" where the
    hub's own way is not wanted; timeout: seconds that the other one has, the hub's where it is None.

        result = await channel.request(task({"type": "resize", "image": 7}, to="images"))
    """
    return {"type": TASK, "message": message, "to": to, "assign": assign, "timeout": timeout}


def broadcast(message: Any) -> dict[str, Any]:
    """A request to the hub to send a message to all others; the answer is the names of those who got it."""
    return {"type": BROADCAST, "message": message}


def members() -> dict[str, Any]:
    """A request to the hub for its members: name, healthy, running, done."""
    return {"type": MEMBERS}
