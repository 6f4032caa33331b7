"""A pool whose workers are a Node script."""

from pathlib import Path

from rookery.errors import RemoteError
from rookery.pool import ProcessPool

HERE = Path(__file__).parent

if __name__ == "__main__":
    with ProcessPool(2, script=HERE / "pictures.js", task_timeout=10) as pool:
        print(pool.submit("resize", {"file": "a.jpg", "width": 640}).result())

        jobs = [{"file": name, "width": 320} for name in ("b.jpg", "c.jpg", "broken.jpg")]
        for answer in pool.map("resize", jobs, return_exceptions=True):
            print(answer.kind if isinstance(answer, RemoteError) else answer)

        album = pool.options(on_progress=lambda percent: print(f"{percent} %"))
        print(album.submit("album", ["a.jpg", "b.jpg"]).result())
