"""Several tasks at a time, each in a process with one thread.

Two trainings side by side get nearly twice as much done as one on two threads.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Say = Callable[[str], None]


def side_by_side(tasks: Sequence[tuple[str, Callable[[], str]]], jobs: int, say: Say) -> list[str]:
    """Do named tasks, `jobs` at a time and first things first; return a line for each that failed.

    A task can be pickled, runs in the checkout's root, records what it did and returns it in words.
    """
    failed = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_start) as pool:
        waiting = {pool.submit(task): name for name, task in tasks}
        try:
            for count, future in enumerate(as_completed(waiting), 1):
                name, error = waiting[future], future.exception()
                if error is not None:
                    failed.append(f"{name}: {error}")
                text = future.result() if error is None else "failed"
                say(f"[{count}/{len(waiting)}] {name}  {text}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failed


def _start() -> None:
    """Work on one thread in the checkout's root, and end when the study is killed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    import torch

    torch.set_num_threads(1)
    os.chdir(ROOT)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
