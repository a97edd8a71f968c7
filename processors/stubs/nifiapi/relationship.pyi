class Relationship:
    name: str
    description: str
    auto_terminated: bool
    def __init__(self, name: str, description: str, auto_terminated: bool = ...) -> None: ...
