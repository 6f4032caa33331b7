"""Make thumbnails of all pictures in a folder, on all cores, and tell how far it is."""

import sys
import tempfile
from pathlib import Path

from PIL import Image

from rookery import ProcessPool


def resize(path):
    with Image.open(path) as picture:
        picture.thumbnail((64, 64))
        target = path.with_name(f"small-{path.name}")
        picture.save(target)
    return target.name, picture.size


def make_some(folder):
    """Pictures to work on; the fifth is none."""
    for number in range(8):
        Image.new("RGB", (400, 100 + 50 * number), (20 * number, 80, 120)).save(folder / f"{number}.png")
    (folder / "4.png").write_text("no picture")
    return sorted(folder.glob("*.png"))


def main(folder):
    files = make_some(folder)
    with ProcessPool(preload=["PIL.Image"]) as pool:
        results = pool.map(resize, files, return_exceptions=True, progress="thumbnails")
        for file, result in zip(files, results, strict=True):
            if isinstance(result, Exception):
                print(f"{file.name}: {type(result).__name__}")
            else:
                print(f"{file.name}: {result[0]}, {result[1][0]} x {result[1][1]}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
