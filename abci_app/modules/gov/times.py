"""Nanoseconds as the messages of protobuf, and back."""

from __future__ import annotations

from typing import Final

from protocol.gen.google.protobuf import duration_pb2, timestamp_pb2

SECOND_NS: Final = 10**9


def timestamp(time_ns: int) -> timestamp_pb2.Timestamp:
    return timestamp_pb2.Timestamp(seconds=time_ns // SECOND_NS, nanos=time_ns % SECOND_NS)


def duration(span_ns: int) -> duration_pb2.Duration:
    return duration_pb2.Duration(seconds=span_ns // SECOND_NS, nanos=span_ns % SECOND_NS)


def nanoseconds(value: timestamp_pb2.Timestamp | duration_pb2.Duration) -> int:
    return value.seconds * SECOND_NS + value.nanos
