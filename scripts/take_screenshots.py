"""Draw the pictures of the console that the README shows, from the demo's world (`make screenshots`)."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from pathlib import Path

import uvicorn
from playwright.sync_api import sync_playwright

from backhaul.config import load
from backhaul.console.app import make_app
from backhaul.console.setting_up import make_desk
from backhaul.store.desk import RETURNS, page

ROOT = Path(__file__).parents[1]
MOST = 150_000  # bytes of a picture
PORT = 8799


def main() -> int:
    """Write docs/img/*.png; 1 when one is too large."""
    desk = make_desk(load(ROOT / "build/demo/backhaul.toml"))
    with desk.store.read() as connection:
        [held, *_] = [row for row in page(connection, RETURNS, {"stage": "held"}).rows if "pending" in row["reasons"]]
    views = {
        "overview": ("/", 1280, 860, "light"),
        "return": (f"/returns/{held['merchant']}/{held['return_id']}", 1280, 780, "light"),
        "trends": ("/trends", 1280, 900, "dark"),
        "phone": ("/exceptions", 400, 800, "dark"),
    }
    server = uvicorn.Server(uvicorn.Config(make_app(desk), host="127.0.0.1", port=PORT, log_config=None, lifespan="off", ws="none"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    browser = next(path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path)
    too_large = []
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        for name, (path, width, height, scheme) in views.items():
            context = opened.new_context(viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light")
            shown = context.new_page()
            shown.goto(f"http://127.0.0.1:{PORT}{path}")
            file = ROOT / f"docs/img/{name}.png"
            shown.screenshot(path=file)
            if file.stat().st_size > MOST:
                too_large.append(f"{file.name} is larger than {MOST:,} bytes")
        opened.close()
    server.should_exit = True
    print("\n".join(too_large) or "docs/img/ is up to date")
    return 1 if too_large else 0


if __name__ == "__main__":
    sys.exit(main())
