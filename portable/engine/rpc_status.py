"""google.rpc.Status as bytes, without the type: Pulumi's package and Google's each bring a file that defines it, a process
takes only one of them, and here Pulumi's engine and plugins on Google's SDK share a process.

https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message


def serialized(code: int, message: str, detail: Message) -> bytes:
    """What gRPC's trailing metadata `grpc-status-details-bin` holds."""
    from google.protobuf import any_pb2

    packed = any_pb2.Any()
    packed.Pack(detail)
    return _status()(code=code, message=message, details=[packed]).SerializeToString()


@cache
def _status() -> Any:
    """A message of the same fields under a name of our own, which is the same on the wire."""
    from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    fields = (
        kinds(name="code", number=1, type=kinds.TYPE_INT32, label=kinds.LABEL_OPTIONAL),
        kinds(name="message", number=2, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL),
        kinds(
            name="details",
            number=3,
            type=kinds.TYPE_MESSAGE,
            type_name=".google.protobuf.Any",
            label=kinds.LABEL_REPEATED,
        ),
    )
    file = descriptor_pb2.FileDescriptorProto(
        name="portable/status.proto",
        package="portable.rpc",
        syntax="proto3",
        dependency=[any_pb2.DESCRIPTOR.name],
        message_type=[descriptor_pb2.DescriptorProto(name="Status", field=fields)],
    )
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("portable.rpc.Status"))
