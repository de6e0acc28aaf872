"""From OpenML into the cache: the client downloads what is missing, and nothing that is there is touched.

The client on its own tries for minutes to reach a server that is not there, and deletes the folder of a task when a download fails.
"""

from __future__ import annotations

import http.client
import queue
import ssl
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from lcbench.errors import UserError
from pipeline.openml_cache import SITE, VARIABLE, client, missing_file, reason, use_openml_cache

SERVER = "https://www.openml.org/api/v1/xml"
PATIENCE = 8.0
"""Seconds to wait for a sign of life from the server before a download."""


def fetch(task: int, *, hint: str = "") -> Path:
    """Make sure that everything about a task is in the cache, by downloading what is not.

    Args:
        task: number of the OpenML task.
        hint: what else can be done offline, ends the message.

    Returns:
        the cache directory.

    Raises:
        UserError: if something is missing and cannot be downloaded, or what is there cannot be read.
    """
    root = use_openml_cache()
    if not missing_file(task, root):
        return root
    if not reachable(SERVER):
        raise UserError(
            f"OpenML task {task} is not in the cache {root}, and www.openml.org cannot be reached: with internet the same command "
            f"downloads it; offline, set openml.cache_dir=DIR or {VARIABLE} to a directory that holds {SITE}/tasks/{task}{hint}"
        )
    _download(task, root)
    missing = missing_file(task, root)
    if missing:
        raise UserError(f"the OpenML client has downloaded task {task}, but {missing} is missing in the cache {root}: try another task")
    return root


def reachable(url: str, seconds: float = PATIENCE) -> bool:
    """True if a server answers, whatever it says and through whatever proxy; False after `seconds` at the latest."""
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(_knock(url, seconds)), daemon=True).start()  # a slow name server knows no timeout
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return False


def _knock(url: str, seconds: float) -> bool:
    try:
        urllib.request.urlopen(url, timeout=seconds).close()
    except urllib.error.HTTPError as answer:
        answer.close()
    except http.client.HTTPException:
        return True  # it does not speak HTTP well, but it is there
    except OSError as error:
        return isinstance(getattr(error, "reason", None), ssl.SSLError)  # somebody is there; the client brings certificates
    return True


def _download(task: int, root: Path) -> None:
    """Let the client download into an empty folder, then move the files: no half-written file is seen, none is deleted."""
    openml = client()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as scratch:
            openml.config.set_root_cache_directory(scratch)
            _ask(openml, task)
            for path in sorted(Path(scratch).rglob("*")):
                place = root / path.relative_to(scratch)
                if path.suffix in (".xml", ".arff", ".pq") and not place.exists():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(place)
    except OSError as error:
        raise UserError(
            f"the OpenML cache {root} cannot be written ({error}), but task {task} must be downloaded into it: "
            f"set openml.cache_dir=DIR or {VARIABLE} to a directory that can be written"
        ) from error
    finally:
        openml.config.set_root_cache_directory(root)


def _ask(openml: Any, task: int) -> None:
    try:
        openml.tasks.get_task(task, download_splits=True, download_data=True, download_qualities=False, download_features_meta_data=True)
    except Exception as error:  # requests, urllib3, minio, xml: whatever it raises, the task is not here
        raise UserError(
            f"OpenML task {task} cannot be downloaded ({reason(error)}): check the number on openml.org, or try again later"
        ) from error
