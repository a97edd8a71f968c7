# `uv run just` lists what there is.

[private]
default:
    @just --list --unsorted

# every check and every test, as CI runs them
test: lint
    pytest -n 2 --dist loadgroup

# the quick tests only: no broker, no NiFi, no foreign servers
quick *args:
    pytest -n 2 --dist loadgroup -m "not kafka and not nifi and not peers" {{args}}

# formatting, types, the arrows between the rooms, and that generated code is current
lint:
    ruff check
    ruff format --check
    mypy -p penstock.proto -p penstock.http2 -p penstock.client -p penstock.serving -p penstock.cli -p penstock.streams -p penstock.processors -p penstock.deploy
    mypy tests templates bench/service.py bench/hostile.py bench/client.py bench/chaos.py bench/soak.py bench/soak_service.py proto/generate.py proto/matrix.py .ci/pins.py
    lint-imports
    python proto/generate.py --check
    python proto/matrix.py --check

# bring the code into its form
format:
    ruff check --fix
    ruff format

# the main job: real Kafka, a real model, a live table
demo *args:
    penstock demo {{args}}

# Penstock beside seldon-core in one run: ratios and medians; --full: beside every other maker's server
bench *args:
    python -m bench.service {{args}}

# ten minutes of bytes that nobody sends on purpose
fuzz *args:
    uv run --group fuzz python -m tests.fuzz.run {{args}}

# our client beside grpcio's: calls per second of the caller's CPU
bench-client *args:
    python -m bench.client {{args}}

# what the machine, Python and the model allow: echo servers, onnxruntime alone
bench-limits *args:
    python -m bench.limits {{args}}

# the codec, in milliseconds per million numbers
bench-codec:
    python -m bench.codec

# streams beside a loop by hand, plain Faust, Quix Streams, Bytewax and MLServer, on one broker
bench-stream *args:
    python -m bench.stream {{args}}

# what a stream does with a batch of records, without Kafka, in microseconds a record
bench-processing *args:
    python -m bench.processing {{args}}

# kills, zombies and a broker that dies: 100,000 records, another seed each time
chaos *args:
    python -m bench.chaos {{args}}

# one worker at a steady 500 records a second for an hour, its memory watched
soak *args:
    python -m bench.soak {{args}}

# the service at half of what it can do for half an hour, its memory watched
soak-service *args:
    python -m bench.soak_service {{args}}

# what hostile clients do to an honest one's waiting times
bench-hostile *args:
    python -m bench.hostile {{args}}

# InvokeModel beside a processor that only reads and writes, on a real NiFi
bench-nifi *args:
    python -m bench.nifi {{args}}

# the NiFi processors as one file, for this Python and platform, in dist/
nar *args:
    python -m penstock.deploy.nar {{args}}

# flow.json of the templates anew, from a running NiFi (penstock nifi up)
templates *args:
    python -m templates.author {{args}}

# their pictures, with Chromium
pictures *args:
    python -m templates.author.pictures {{args}}

# protobuf modules from our own .proto files
protos:
    python proto/generate.py

# the conversion matrix of docs/codec.md
matrix:
    python proto/matrix.py

# the exact versions in pyproject.toml, renewed
pins:
    python .ci/pins.py

# what CI runs
ci: test
