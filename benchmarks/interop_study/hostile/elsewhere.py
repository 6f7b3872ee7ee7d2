"""What is no network at all: folders, pipes, devices, links, and files of other kinds."""

import gzip
import os
import pickle
import random
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

Make = Callable[[Path, bytes], object]
"""Make something at a path; the bytes are those of a whole NIR file."""
_HDF5, _SPARSE = b"\x89HDF\r\n\x1a\n", 5 << 30


def _text(content: bytes) -> Make:
    return lambda path, whole: path.write_bytes(content)


def _link(target: str) -> Make:
    return lambda path, whole: path.symlink_to(target)


def _circle(path: Path, whole: bytes) -> None:
    other = path.with_name(f"{path.name}.back")
    other.symlink_to(path.name)
    path.symlink_to(other.name)


def _pipe(path: Path, whole: bytes) -> None:
    os.mkfifo(path)


def _linked_pipe(path: Path, whole: bytes) -> None:
    pipe = path.with_name(f"{path.name}.pipe")
    os.mkfifo(pipe)
    path.symlink_to(pipe.name)


def _socket(path: Path, whole: bytes) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's address is short
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


def _unreadable(path: Path, whole: bytes) -> None:
    """Take away what reading needs; who may read all the same gets a file that fails to."""
    path.write_bytes(whole)
    path.chmod(0)
    if os.access(path, os.R_OK):
        path.unlink()
        path.symlink_to("/proc/self/mem")


def _sparse(head: bytes) -> Make:
    def make(path: Path, whole: bytes) -> None:
        path.write_bytes(head)
        os.truncate(path, _SPARSE)

    return make


def _zip_bomb(path: Path, whole: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weight.npy", b"\x00" * (64 << 20))


def _gzip(path: Path, whole: bytes) -> None:
    path.write_bytes(gzip.compress(whole))


class _Runs:
    """What a reader that unpickles would run."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch unpickled",)


_NOISE = random.Random(0).randbytes(100_000)
ELSEWHERE: dict[str, Make] = {
    "nothing there": lambda path, whole: None,
    "folder": lambda path, whole: path.mkdir(),
    "pipe": _pipe,
    "link to a pipe": _linked_pipe,
    "socket": _socket,
    "unreadable": _unreadable,
    "empty": _text(b""),
    "links in a circle": _circle,
    "link to itself": lambda path, whole: path.symlink_to(path.name),
    "link to nothing": _link("nothing-there"),
    "link to a device without end": _link("/dev/zero"),
    "link to no device": _link("/dev/null"),
    "link to a password file": _link("/etc/passwd"),
    "link to a file of the kernel": _link("/proc/self/environ"),
    "text": _text(b"a network of spiking neurons\n" * 100),
    "YAML": _text(b"name: &a [*a, *a]\n"),
    "pickle": _text(pickle.dumps({"weight": [1.0, 2.0]})),
    "pickle that runs": _text(pickle.dumps(_Runs())),
    "zip bomb": _zip_bomb,
    "gzip of a whole file": _gzip,
    "noise": _text(_NOISE),
    "noise behind HDF5": _text(_HDF5 + _NOISE),
    "noise behind ONNX": _text(b"\x08\x08" + _NOISE),
    "zeros": _text(bytes(1 << 20)),
    "HDF5 signature": _text(_HDF5),
    "HDF5 signature later": _text(bytes(512) + _HDF5),
    "HDF5 far too long": _sparse(_HDF5),
    "ONNX far too long": _sparse(b"\x08\x08"),
    "zeros far too long": _sparse(b""),
    "whole file behind text": lambda path, whole: path.write_bytes(b"#!/bin/sh\n" + whole),
}
