"""A pool whose workers are a Python script, for an event loop."""

import asyncio
from pathlib import Path

from rookery.pool import ProcessPool

HERE = Path(__file__).parent


async def main():
    async with ProcessPool(2, script=HERE / "words.py") as pool:
        print(await pool.run("count", "to be or not to be"))
        print(await asyncio.gather(*[pool.run("shout", word) for word in ("a", "b", "c")]))
        try:
            await pool.run("shout", None)
        except Exception as error:
            print(error.kind)
        (answer, *_) = (await pool.asked_status()).values()
        print(sorted(answer))


if __name__ == "__main__":
    asyncio.run(main())
