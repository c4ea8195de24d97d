"""Cameras on loopback that can be killed, brought back on their port, and stalled."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from tests.conftest import numbered_image

MOVING = [np.roll(numbered_image(i, (96, 64)), i, axis=1) for i in range(8)]
# GStreamer belongs to the system's Python.
SYSTEM_PYTHON = "/usr/bin/python3"


class NetworkCamera(Protocol):
    """What both kinds can do."""

    @property
    def address(self) -> str: ...

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def stall(self, stalled: bool) -> None: ...


class _Camera(BaseHTTPRequestHandler):
    """MJPEG as network cameras send it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        server = self.server
        assert isinstance(server, _Server)
        number = 0
        while not server.killed.is_set():
            if server.stalled.is_set():
                server.killed.wait(0.02)
                continue
            _, data = cv2.imencode(".jpg", MOVING[number % len(MOVING)])
            try:
                self.wfile.write(
                    b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
                    + data.tobytes()
                    + b"\r\n"
                )
            except OSError:
                return
            number += 1
            server.killed.wait(0.02)

    def log_message(self, *args: object) -> None:
        return


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = False

    def __init__(self, port: int) -> None:
        self.killed = threading.Event()
        self.stalled = threading.Event()
        super().__init__(("127.0.0.1", port), _Camera)


class MjpegCamera:
    """MJPEG over HTTP, served by a thread."""

    def __init__(self) -> None:
        self.port = 0
        self.start()

    def start(self) -> None:
        self.server = _Server(self.port)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def kill(self) -> None:
        self.server.killed.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def stall(self, stalled: bool) -> None:
        (self.server.stalled.set if stalled else self.server.stalled.clear)()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/camera"


class RtspCamera:
    """RTSP, served by a process with GStreamer; each life has another size."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._lives = 0
        self.start()

    def start(self) -> None:
        self._lives += 1
        size = ("320", "240") if self._lives % 2 else ("240", "160")
        words = [SYSTEM_PYTHON, str(Path(__file__).with_name("rtsp_server.py")), str(self.port), *size]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def stall(self, stalled: bool) -> None:
        self.process.send_signal(signal.SIGSTOP if stalled else signal.SIGCONT)

    @property
    def address(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/camera"


def has_rtsp_server() -> bool:
    """Whether the packages are there that the README's test command installs."""
    words = [SYSTEM_PYTHON, "-c", "import gi; gi.require_version('GstRtspServer', '1.0')"]
    try:
        return subprocess.run(words, check=False, capture_output=True).returncode == 0
    except OSError:
        return False
