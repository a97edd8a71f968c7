from typing import Any

class JvmHolder:
    jvm: Any
