"""The labelling page under more than a person can do: keys at 25 a second, and a server that is killed again and again.

python -m benchmarks.labelling keys    # in headless Chromium: none lost, and how long from a key to the next cell
python -m benchmarks.labelling kills   # eight raters at once: no acknowledged label lost or doubled
"""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path
from threading import Lock, Thread
from uuid import uuid4

import numpy as np
import typer
import urllib3
from playwright.sync_api import sync_playwright

from common.labelling.pictures import Pictures
from common.labelling.subjects import of_pipeline

CLASS = 11
app = typer.Typer()
DRIVE = """([count, pause]) => new Promise((done) => {
  const large = document.getElementById('large'), cell = document.getElementById('cell'), waits = [];
  let number = 0, early = 0;
  const start = performance.now();
  const press = () => {
    if (large.ariaBusy === 'true') early += 1; // the page takes no score for a cell that nobody can see yet
    else {
      const before = cell.textContent, pressed = performance.now();
      document.body.dispatchEvent(new KeyboardEvent('keydown', { key: String(number % 6), bubbles: true }));
      const look = () => {
        if (large.ariaBusy === 'false' && cell.textContent !== before) waits.push(performance.now() - pressed);
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
      number += 1;
    }
    if (number === count) setTimeout(() => done({ waits, early, seconds: (performance.now() - start) / 1000 }), 2000);
    else setTimeout(press, Math.max(0, start + (number + early) * pause - performance.now()));
  };
  press();
})"""


class Server:
    """``hpa label`` in a process of its own, which may be killed and started again at the same address."""

    def __init__(self, data: Path, scores: Path) -> None:
        self._command = ["hpa", "label", "--class", str(CLASS), "--data", str(data), "--scores", str(scores)]
        self._command += ["--shared", "1"]
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start it and wait until it serves."""
        command = [*self._command, "--port", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        line = self._process.stdout.readline()
        found = re.search(r":(\d+)/", line)
        assert found, line
        self.port = int(found[1])

    @property
    def address(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        self._process.send_signal(how)
        self._process.wait()


@app.command()
def keys(data: Path = Path("data"), cells: int = 1000, per_second: float = 25) -> None:
    """Score cells by keys in a steady beat."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        scores = Path(folder) / "scores.sqlite"
        server = Server(data, scores)
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("HPA_BROWSER") or shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu"],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(server.address)
        page.wait_for_selector("#name[open]")
        page.keyboard.type("Script")
        page.keyboard.press("Enter")
        page.wait_for_selector("#large[aria-busy=false]")
        page.wait_for_timeout(5000)  # the first pictures are fetched ahead
        found = page.evaluate(DRIVE, [cells, 1000 / per_second])
        page.locator("#saved", has_text="all saved").wait_for(timeout=60_000)
        browser.close()
        server.stop()
        with sqlite3.connect(scores) as file:
            kept = [row[0] for row in file.execute("SELECT score FROM events ORDER BY number")]
    in_order = kept == [number % 6 for number in range(cells)]
    took = found["seconds"] - 2
    print(
        f"{cells} keys in {took:.1f} s ({cells / took:.1f} a second); {found['early']} beats waited for a picture"
    )
    print(f"{len(kept)} kept, in order: {in_order}")
    middle, most = np.percentile(found["waits"], [50, 95])
    print(f"key to next cell: median {middle:.0f} ms, p95 {most:.0f} ms; load {os.getloadavg()[0]:.1f}")


@app.command()
def kills(data: Path = Path("data"), labels: int = 10_000, raters: int = 8, times: int = 20) -> None:
    """Send labels from several raters while the server is killed; each is sent until it is acknowledged."""
    subjects = of_pipeline(data, Path("approaches"))
    pictures = Pictures(subjects)
    each = labels // raters
    rows = np.random.default_rng(0).choice(len(subjects.cells), min(each, len(subjects.cells)), replace=False)
    ids = subjects.cells["image_id"].tolist()
    places = [(ids[row], *pictures.place(row)) for row in rows.tolist()]
    acknowledged: dict[str, tuple[str, int]] = {}
    retries, lock = [0], Lock()
    with tempfile.TemporaryDirectory() as folder:
        scores = Path(folder) / "scores.sqlite"
        server = Server(data, scores)

        def rate(rater: str) -> None:
            pool = urllib3.PoolManager(retries=False, timeout=10)
            for number in range(each):
                image_id, y, x = places[number % len(places)]
                event = {"id": str(uuid4()), "kind": "score", "rater": rater, "class_id": CLASS}
                event |= {"image_id": image_id, "y": y, "x": x, "score": number % 6, "why": ""}
                while not _sent(pool, server.address, event):
                    retries[0] += 1
                    time.sleep(0.05)
                with lock:
                    acknowledged[str(event["id"])] = (rater, number % 6)

        start = time.perf_counter()
        threads = [Thread(target=rate, args=(f"rater {number}",)) for number in range(raters)]
        for thread in threads:
            thread.start()
        for kill in range(1, times + 1):
            while len(acknowledged) < kill * each * raters / (times + 1):
                time.sleep(0.01)
            server.stop(signal.SIGKILL)
            server.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - start
        server.stop()
        with sqlite3.connect(scores) as file:
            kept = {row[0]: row[1:] for row in file.execute("SELECT id, rater, score FROM events")}
            total = file.execute("SELECT count(*) FROM events").fetchone()[0]
            whole = file.execute("PRAGMA integrity_check").fetchone()[0]
    lost = sum(kept.get(event_id) != value for event_id, value in acknowledged.items())
    print(
        f"{raters} raters, {times} kills, {took:.0f} s: {len(acknowledged)} acknowledged after {retries[0]} retries"
    )
    print(f"{total} stored, {lost} lost, {total - len(acknowledged)} more than sent; integrity {whole}")


def _sent(pool: urllib3.PoolManager, address: str, event: dict[str, object]) -> bool:
    try:
        body, kind = json.dumps([event]), {"Content-Type": "application/json"}
        answer = pool.request("POST", f"{address}/api/events", body=body, headers=kind)
    except urllib3.exceptions.HTTPError:
        return False
    assert answer.status == 200, answer.data
    return True


if __name__ == "__main__":
    app()
