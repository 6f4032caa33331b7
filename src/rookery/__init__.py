"""Process management for Python, from one child to a fleet.

Public names are imported when they are first used, so that ``import rookery`` costs next to nothing.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.cluster.cluster import Cluster as Cluster
    from rookery.cluster.events import ClusterEvent as ClusterEvent
    from rookery.cluster.reloading import ReloadResult as ReloadResult
    from rookery.cluster.status import ClusterStatus as ClusterStatus
    from rookery.cluster.status import WorkerStatus as WorkerStatus
    from rookery.errors import BindFailed as BindFailed
    from rookery.errors import ChannelTimeout as ChannelTimeout
    from rookery.errors import ClusterError as ClusterError
    from rookery.errors import CommandNotFound as CommandNotFound
    from rookery.errors import Disconnected as Disconnected
    from rookery.errors import InputClosed as InputClosed
    from rookery.errors import OutputLimit as OutputLimit
    from rookery.errors import PoolClosed as PoolClosed
    from rookery.errors import PoolError as PoolError
    from rookery.errors import PoolFull as PoolFull
    from rookery.errors import ProcessFailed as ProcessFailed
    from rookery.errors import ProcessNotFound as ProcessNotFound
    from rookery.errors import ReloadFailed as ReloadFailed
    from rookery.errors import RemoteError as RemoteError
    from rookery.errors import ResultNotSent as ResultNotSent
    from rookery.errors import RookeryError as RookeryError
    from rookery.errors import SpawnError as SpawnError
    from rookery.errors import TaskNotSent as TaskNotSent
    from rookery.errors import TaskTimeout as TaskTimeout
    from rookery.errors import TimedOut as TimedOut
    from rookery.errors import WorkerDied as WorkerDied
    from rookery.errors import WorkerNotReady as WorkerNotReady
    from rookery.errors import WorkerStartFailed as WorkerStartFailed
    from rookery.ipc.arrived import WithFds as WithFds
    from rookery.ipc.channel import Channel as Channel
    from rookery.ipc.connect import connect_tcp as connect_tcp
    from rookery.ipc.connect import connect_unix as connect_unix
    from rookery.ipc.hub import Hub as Hub
    from rookery.ipc.hub_member import Health as Health
    from rookery.ipc.server import serve_tcp as serve_tcp
    from rookery.ipc.server import serve_text as serve_text
    from rookery.ipc.server import serve_unix as serve_unix
    from rookery.ipc.shared import SharedArray as SharedArray
    from rookery.ipc.state_file import StateFile as StateFile
    from rookery.ipc.stdio import SyncStdioChannel as SyncStdioChannel
    from rookery.ipc.stdio_channel import StdioChannel as StdioChannel
    from rookery.ipc.sync_channel import SyncChannel as SyncChannel
    from rookery.lifecycle.restart import Backoff as Backoff
    from rookery.lifecycle.restart import MaxRestarts as MaxRestarts
    from rookery.lifecycle.restart import RestartPolicy as RestartPolicy
    from rookery.lifecycle.state import State as State
    from rookery.lifecycle.stop import StopPlan as StopPlan
    from rookery.pool.future import PoolFuture as PoolFuture
    from rookery.pool.processes.process_pool import ProcessPool as ProcessPool
    from rookery.pool.progress import report_progress as report_progress
    from rookery.pool.rules.events import PoolEvent as PoolEvent
    from rookery.pool.rules.status import PoolStatus as PoolStatus
    from rookery.pool.threads.thread_pool import ThreadPool as ThreadPool
    from rookery.pool.threads.thread_worker import ThreadWorker as ThreadWorker
    from rookery.process.child import Child as Child
    from rookery.process.command import Command as Command
    from rookery.process.command import spawn as spawn
    from rookery.process.events import ChildEvent as ChildEvent
    from rookery.process.hooks import on_exit as on_exit
    from rookery.process.hooks import on_signal as on_signal
    from rookery.process.hooks import on_task_error as on_task_error
    from rookery.process.hooks import on_uncaught as on_uncaught
    from rookery.process.info import ProcessInfo as ProcessInfo
    from rookery.process.info import process_info as process_info
    from rookery.process.info import set_title as set_title
    from rookery.process.input import InputStream as InputStream
    from rookery.process.options import RunOptions as RunOptions
    from rookery.process.output import OutputStream as OutputStream
    from rookery.process.pipeline import Pipeline as Pipeline
    from rookery.process.pipeline import PipelineResult as PipelineResult
    from rookery.process.pipeline import RunningPipeline as RunningPipeline
    from rookery.process.result import Result as Result
    from rookery.process.run import run as run
    from rookery.process.run import run_sync as run_sync
    from rookery.process.run import shell as shell
    from rookery.process.run import shell_sync as shell_sync
    from rookery.process.shutdown import GracefulShutdown as GracefulShutdown
    from rookery.process.spec import SpawnSpec as SpawnSpec
    from rookery.process.stdio import CAPTURE as CAPTURE
    from rookery.process.stdio import DISCARD as DISCARD
    from rookery.process.stdio import INHERIT as INHERIT
    from rookery.process.stdio import PIPE as PIPE
    from rookery.process.stdio import STDOUT as STDOUT
    from rookery.process.stdio import tee as tee
    from rookery.supervise.process_manager import ProcessManager as ProcessManager
    from rookery.supervise.supervisor import Supervisor as Supervisor
    from rookery.supervise.unit import Unit as Unit
    from rookery.worker.forking import fork as fork
    from rookery.worker.running import Worker as Worker

__version__ = "0.1.0.dev0"

_PUBLIC = {
    "Backoff": "rookery.lifecycle.restart",
    "BindFailed": "rookery.errors",
    "CAPTURE": "rookery.process.stdio",
    "Channel": "rookery.ipc.channel",
    "ChannelTimeout": "rookery.errors",
    "Child": "rookery.process.child",
    "ChildEvent": "rookery.process.events",
    "Cluster": "rookery.cluster.cluster",
    "ClusterError": "rookery.errors",
    "ClusterEvent": "rookery.cluster.events",
    "ClusterStatus": "rookery.cluster.status",
    "Command": "rookery.process.command",
    "CommandNotFound": "rookery.errors",
    "DISCARD": "rookery.process.stdio",
    "Disconnected": "rookery.errors",
    "GracefulShutdown": "rookery.process.shutdown",
    "Health": "rookery.ipc.hub_member",
    "Hub": "rookery.ipc.hub",
    "INHERIT": "rookery.process.stdio",
    "InputClosed": "rookery.errors",
    "InputStream": "rookery.process.input",
    "MaxRestarts": "rookery.lifecycle.restart",
    "OutputLimit": "rookery.errors",
    "OutputStream": "rookery.process.output",
    "PIPE": "rookery.process.stdio",
    "Pipeline": "rookery.process.pipeline",
    "PipelineResult": "rookery.process.pipeline",
    "PoolClosed": "rookery.errors",
    "PoolError": "rookery.errors",
    "PoolEvent": "rookery.pool.rules.events",
    "PoolFull": "rookery.errors",
    "PoolFuture": "rookery.pool.future",
    "PoolStatus": "rookery.pool.rules.status",
    "ProcessFailed": "rookery.errors",
    "ProcessInfo": "rookery.process.info",
    "ProcessManager": "rookery.supervise.process_manager",
    "ProcessNotFound": "rookery.errors",
    "ProcessPool": "rookery.pool.processes.process_pool",
    "ReloadFailed": "rookery.errors",
    "ReloadResult": "rookery.cluster.reloading",
    "RemoteError": "rookery.errors",
    "RestartPolicy": "rookery.lifecycle.restart",
    "Result": "rookery.process.result",
    "ResultNotSent": "rookery.errors",
    "RookeryError": "rookery.errors",
    "RunOptions": "rookery.process.options",
    "RunningPipeline": "rookery.process.pipeline",
    "STDOUT": "rookery.process.stdio",
    "SharedArray": "rookery.ipc.shared",
    "SpawnError": "rookery.errors",
    "SpawnSpec": "rookery.process.spec",
    "State": "rookery.lifecycle.state",
    "StateFile": "rookery.ipc.state_file",
    "StdioChannel": "rookery.ipc.stdio_channel",
    "StopPlan": "rookery.lifecycle.stop",
    "Supervisor": "rookery.supervise.supervisor",
    "SyncChannel": "rookery.ipc.sync_channel",
    "SyncStdioChannel": "rookery.ipc.stdio",
    "TaskNotSent": "rookery.errors",
    "TaskTimeout": "rookery.errors",
    "ThreadPool": "rookery.pool.threads.thread_pool",
    "ThreadWorker": "rookery.pool.threads.thread_worker",
    "TimedOut": "rookery.errors",
    "Unit": "rookery.supervise.unit",
    "WithFds": "rookery.ipc.arrived",
    "Worker": "rookery.worker.running",
    "WorkerDied": "rookery.errors",
    "WorkerNotReady": "rookery.errors",
    "WorkerStartFailed": "rookery.errors",
    "WorkerStatus": "rookery.cluster.status",
    "connect_tcp": "rookery.ipc.connect",
    "connect_unix": "rookery.ipc.connect",
    "fork": "rookery.worker.forking",
    "on_exit": "rookery.process.hooks",
    "on_signal": "rookery.process.hooks",
    "on_task_error": "rookery.process.hooks",
    "on_uncaught": "rookery.process.hooks",
    "process_info": "rookery.process.info",
    "report_progress": "rookery.pool.progress",
    "run": "rookery.process.run",
    "run_sync": "rookery.process.run",
    "serve_tcp": "rookery.ipc.server",
    "serve_text": "rookery.ipc.server",
    "serve_unix": "rookery.ipc.server",
    "set_title": "rookery.process.info",
    "shell": "rookery.process.run",
    "shell_sync": "rookery.process.run",
    "spawn": "rookery.process.command",
    "tee": "rookery.process.stdio",
}

__all__ = [
    "CAPTURE",
    "DISCARD",
    "INHERIT",
    "PIPE",
    "STDOUT",
    "Backoff",
    "BindFailed",
    "Channel",
    "ChannelTimeout",
    "Child",
    "ChildEvent",
    "Cluster",
    "ClusterError",
    "ClusterEvent",
    "ClusterStatus",
    "Command",
    "CommandNotFound",
    "Disconnected",
    "GracefulShutdown",
    "Health",
    "Hub",
    "InputClosed",
    "InputStream",
    "MaxRestarts",
    "OutputLimit",
    "OutputStream",
    "Pipeline",
    "PipelineResult",
    "PoolClosed",
    "PoolError",
    "PoolEvent",
    "PoolFull",
    "PoolFuture",
    "PoolStatus",
    "ProcessFailed",
    "ProcessInfo",
    "ProcessManager",
    "ProcessNotFound",
    "ProcessPool",
    "ReloadFailed",
    "ReloadResult",
    "RemoteError",
    "RestartPolicy",
    "Result",
    "ResultNotSent",
    "RookeryError",
    "RunOptions",
    "RunningPipeline",
    "SharedArray",
    "SpawnError",
    "SpawnSpec",
    "State",
    "StateFile",
    "StdioChannel",
    "StopPlan",
    "Supervisor",
    "SyncChannel",
    "SyncStdioChannel",
    "TaskNotSent",
    "TaskTimeout",
    "ThreadPool",
    "ThreadWorker",
    "TimedOut",
    "Unit",
    "WithFds",
    "Worker",
    "WorkerDied",
    "WorkerNotReady",
    "WorkerStartFailed",
    "WorkerStatus",
    "__version__",
    "connect_tcp",
    "connect_unix",
    "fork",
    "on_exit",
    "on_signal",
    "on_task_error",
    "on_uncaught",
    "process_info",
    "report_progress",
    "run",
    "run_sync",
    "serve_tcp",
    "serve_text",
    "serve_unix",
    "set_title",
    "shell",
    "shell_sync",
    "spawn",
    "tee",
]


def __getattr__(name: str) -> object:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'rookery' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
