"""The descriptor pool of our generated messages.

It is private because client libraries register files of the same names, with other bytes, in protobuf's
default pool; two files of one name cannot live in one pool.
"""

from __future__ import annotations

from google.protobuf import descriptor_pool
from google.protobuf.internal import api_implementation

if api_implementation.Type() != "upb":
    # The backends order some encodings differently, so a validator on another one could compute other bytes.
    raise ImportError(f"protobuf must run on the upb backend, not on {api_implementation.Type()}")

POOL = descriptor_pool.DescriptorPool()
