from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

ORDERS = (("google.rpc.status_pb2", "portable.engine.host"), ("portable.engine.host", "google.rpc.status_pb2"))


@pytest.mark.parametrize("modules", ORDERS, ids=["google first", "engine first"])
def test_the_engine_and_googles_sdk_share_a_process(modules: tuple[str, str]) -> None:
    """With a type of its own the bytes are read as Google's."""
    program = "\n".join(
        [
            *(f"import {module}" for module in modules),
            "from google.protobuf import duration_pb2",
            "from google.rpc import status_pb2",
            "from portable.engine import rpc_status",
            "made = rpc_status.serialized(2, 'no', duration_pb2.Duration(seconds=7))",
            "read = status_pb2.Status.FromString(made)",
            "detail = duration_pb2.Duration()",
            "assert read.details[0].Unpack(detail)",
            "print(read.code, read.message, detail.seconds)",
        ]
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "2 no 7\n", done.stderr
