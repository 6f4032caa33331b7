"""What workers say: read under the lock, told to futures outside of it, in order, by one thread at a time."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from itertools import takewhile
from time import monotonic
from typing import TYPE_CHECKING, Any

from rookery.errors import ResultNotSent, RookeryError
from rookery.pool.processes import wire
from rookery.pool.processes.dispatch import Dispatch
from rookery.pool.processes.interrupts import NoInterrupts
from rookery.pool.processes.settle import is_quiet, settle

if TYPE_CHECKING:
    from rookery.pool.processes.member import Member
    from rookery.pool.processes.one_task import Task
    from rookery.pool.processes.settle import Answer

_ENDS = frozenset({wire.RESULT, wire.ERROR, wire.RESULT_BESIDE})
_AHEAD = 64
_AHEAD_TIME = 0.001
_WEIGHT = 0.1
_LONGEST_COUNTED = 0.05


class Answers(Dispatch):
    """The way of answers to futures. See Engine."""

    def take(self, member: Member) -> bool:
        """Read what a worker has said, and give it more to do; whether it said anything. settle() is to follow."""
        with self.lock:
            if not member.is_open:
                return False
            try:
                data = member.replies.recv(wire.READ)
            except (BlockingIOError, ConnectionError):
                return False
            if not data:
                member.is_at_end = True
                return False
            if member.is_garbled:  # nobody knows where the next answer would begin
                return True
            self.keep(self._parse(member, member.rest + data if member.rest else data))
            member.last_reply = monotonic()
            self.fill(member)
            return True

    def _parse(self, member: Member, data: bytes) -> list[Answer]:
        answers: list[Answer] = []
        view = memoryview(data)
        unpack, header = wire.FRAME.unpack_from, wire.FRAME.size
        sent, at, end = member.sent, 0, len(data)
        done, run_time, name = 0, self._run_time, member.name
        waits: list[float] = []
        runs: list[float] = []
        while end - at >= header:
            number, kind, length, began, ended = unpack(data, at)
            start = at + header
            after = start + length
            if after > end or kind > wire.KINDS:
                break
            at = after
            if kind not in _ENDS:
                self._other(member, number, kind, view[start:after], began, answers)
                continue
            task = sent.pop(number, None)
            if task is None:
                self._drop(member, kind, view[start:after])
                continue
            done += 1
            run = ended - began
            if ended:
                run_time += _WEIGHT * ((min(_LONGEST_COUNTED, run)) - run_time)
            if task.was_defined:
                task.was_defined = False
                member.knows(task.function)
            options = task.options
            if options.timeout is not None:
                self._unlimit(task)
            if task.settled:
                self._drop(member, kind, view[start:after])
            elif kind == wire.RESULT:
                task.settled = True
                if member.errors_in_row:
                    member.errors_in_row = 0
                if options.deadline is not None:
                    self.due.remove(task)
                waits.append(began - task.queued_at)
                runs.append(run)
                answers.append((task, kind, view[start:after], name, ended))
            else:
                self._answered(member, task, kind, view[start:after], began, ended, answers)
        if waits:
            self.pending -= len(waits)
            self.ledger.completed_all(waits, runs)
        member.rest = data[at:] if at < end else b""
        if end - at >= header and unpack(data, at)[1] > wire.KINDS:
            member.rest, member.is_garbled = b"", True
            self.hooks.is_garbled(member)
        member.done += done
        if done:
            self._run_time = run_time
            self._window = max(1, int(_AHEAD_TIME / run_time)) if run_time > _AHEAD_TIME / _AHEAD else _AHEAD
            if not member.retires and self.is_worn(member):
                self.retire(member, f"{member.done} tasks done")
        return answers

    def _answered(
        self, member: Member, task: Task, kind: int, payload: Any, began: float, ended: float, answers: list[Answer]
    ) -> None:
        """Count an error or a result in shared memory; what is left to do is settling its future."""
        wait = began - task.queued_at
        run = ended - began if ended else 0.0
        if kind == wire.ERROR:
            member.errors += 1
            member.errors_in_row += 1
            if self.max_errors is not None and member.errors_in_row > self.max_errors and not member.retires:
                self.retire(member, f"{member.errors_in_row} errors in a row")
            if task.attempts <= task.options.retries:
                self.ledger.retried(wait, run)
                self.again(task, "it failed")
                return
            self.ledger.failed(wait, run)
        else:
            self.ledger.completed(wait, run)
        task.settled = True
        self.pending -= 1
        self.due.remove(task)
        if kind == wire.RESULT_BESIDE:
            member.give_back()
            number, size, offsets = wire.parts_of(payload)
            try:
                payload = member.borrower.take(member.borrower.borrow(number, member.descriptor(), size), offsets)
            except (RookeryError, OSError) as error:
                kind, payload = wire.LOST, ResultNotSent("the result does not get here", why=str(error))
                payload.__cause__ = error
                self.ledger.came_to_nothing()
        answers.append((task, kind, payload, member.name, ended or began))

    def _drop(self, member: Member, kind: int, payload: memoryview) -> None:
        """An answer that nobody waits for any more."""
        if kind == wire.RESULT_BESIDE:
            with suppress(OSError):
                os.close(member.descriptor())
            member.release(wire.parts_of(payload)[0])

    def _other(
        self, member: Member, number: int, kind: int, payload: memoryview, began: float, answers: list[Answer]
    ) -> None:
        if kind in (wire.PROGRESS, wire.BEGUN):
            task = member.sent.get(number)
            if task is not None and not task.settled:
                answers.append((task, kind, payload, member.name, began))
        elif kind == wire.RELEASED:
            self.lender.give_back(number)
            for held, loans in list(member.holds.items()):
                if number in loans:
                    loans.remove(number)
                    if not loans:
                        del member.holds[held]
        elif kind == wire.UNKNOWN:
            task = member.sent.pop(number, None)
            if task is not None:
                member.known.discard(task.function)
                self._unlimit(task)
                if not task.settled:
                    task.member = None
                    self.queue.push_front([task])
        elif kind in (wire.READY, wire.START_FAILED):
            answers.append((member, kind, payload, member.name, began))

    def settle(self, *, inside: bool = False) -> None:
        """Give futures their results, in the order in which they were taken: one thread at a time does so, for all.

        inside: of a caller's submit, where no code of others may run.
        """
        while self._outbox and self._turn.acquire(blocking=False):
            count = 0
            try:
                with self.lock:
                    answers, self._outbox = self._outbox, []
                    if inside:
                        quiet = list(takewhile(is_quiet, answers))
                        self._outbox = answers[len(quiet) :]
                        answers = quiet
                    count = len(answers)
                settle(self, answers)
            finally:
                self._turn.release()
                self.is_settled(count)
            if inside and self._outbox:
                self.hooks.wants_settling()
                return

    def pump(self) -> None:
        """Take answers in the middle of many submits: so workers are kept busy by a caller who gives nobody a turn."""
        with NoInterrupts():
            self._unpumped = 0
            self.pumped_at = monotonic()
            for member in list(self.ready):
                self.take(member)
            self.settle(inside=True)

    def lose(self, member: Member) -> list[Task]:
        """A worker has ended: all it said is taken, what it had not begun goes to others; return what it was at."""
        while self.take(member) or self._has_more(member):
            continue
        self.settle()
        with self.lock:
            member.retires = member.retires or "it has ended"
            member.is_idle = False
            if member in self.ready:
                self.ready.remove(member)
                self.ledger.workers(len(self.ready), monotonic())
            self.recall(member)
            begun = member.at_work()[0]
            # Of one whose answers cannot be read nobody knows what it has done.
            unbegun = [task for task in member.sent.values() if task.number != begun and not member.is_garbled]
            victims = [task for task in member.sent.values() if task.number == begun or member.is_garbled]
            for task in member.sent.values():
                self._unlimit(task)
                task.member = None
            unbegun = [task for task in unbegun if not task.settled]
            kept = {task.loan.number for task in unbegun if task.loan is not None}
            for loans in member.holds.values():
                self.lender.give_back_all(number for number in loans if number not in kept)
            member.holds.clear()
            member.sent.clear()
            self.queue.push_front(unbegun)
            self.feed()
            if len(self.queue):
                self.hooks.wants_workers()
            return [task for task in victims if not task.settled]

    def _has_more(self, member: Member) -> bool:
        try:
            return bool(member.replies.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False
