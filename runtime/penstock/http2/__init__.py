"""HTTP/2 (RFC 9113) without I/O: bytes in, requests out; answers in, bytes out.

For servers that answer many small calls: a header block that was seen before is one look-up, and the answers of one
turn of the event loop leave in one write. No server push, no priorities (RFC 9113 has given them up), no upgrade from
HTTP/1.1.
"""
