"""The temporary Prefect server's process: `python -m flows.server_process PORT`, with a pipe to its parent on stdin."""

from __future__ import annotations

import gc
import os
import sys
import threading


def _end_with_parent() -> None:
    # The pipe closes when the parent ends, even by SIGKILL: nothing is left running.
    while os.read(0, 1024):
        pass
    os._exit(0)


def main() -> None:
    """Serve Prefect's API on loopback until the parent is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.disable()  # two thousand modules hold hardly a cycle, and looking for some takes a tenth of their import
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app()
    gc.freeze()
    gc.enable()
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", lifespan="on")


if __name__ == "__main__":
    main()
