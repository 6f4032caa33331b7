"""The workers of python_tasks.py."""

import asyncio

from rookery.pool import report_progress, serve_tasks, task


@task("count")
def count(text):
    report_progress(50)
    return len(text.split())


@task("shout")
async def shout(text):
    await asyncio.sleep(0.01)
    return text.upper()


serve_tasks()
