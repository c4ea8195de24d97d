"""A camera that speaks RTSP, for the tests: `/usr/bin/python3 rtsp_server.py PORT WIDTH HEIGHT`.

It needs GStreamer's RTSP server, which belongs to the system's Python: it runs as a process of its own, as a
camera would.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def main() -> None:
    """Serve a moving ball on rtsp://127.0.0.1:PORT/camera until killed."""
    port, width, height = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    picture = f"video/x-raw,format=I420,width={width},height={height},framerate=30/1"
    factory.set_launch(
        f"( videotestsrc is-live=1 pattern=ball ! {picture} ! jpegenc ! rtpjpegpay name=pay0 )"
    )
    factory.set_shared(True)
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


main()
