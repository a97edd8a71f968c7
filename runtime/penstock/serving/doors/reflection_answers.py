"""What server reflection answers, out of our own pool of descriptors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2 as pb

from penstock.proto import open_inference_pb2, prediction_pb2
from penstock.proto.pool import POOL

from .grpc_status import Refused

if TYPE_CHECKING:
    from collections.abc import Collection

    from google.protobuf.descriptor import FileDescriptor

_NOT_FOUND: Final = 5
_INVALID_ARGUMENT: Final = 3


def describe() -> None:
    """Fill our pool: with grpc's own two services, and with ours, which may not have been needed before."""
    for module in (health_pb2, pb, prediction_pb2, open_inference_pb2):
        POOL.AddSerializedFile(module.DESCRIPTOR.serialized_pb)


def answer_to(message: bytes, names: Collection[str]) -> bytes:
    """The answer to a ``ServerReflectionRequest``; ``names`` are the services.

    Raises:
        Refused: the bytes are none.
    """
    try:
        request = pb.ServerReflectionRequest.FromString(message)
    except DecodeError:
        raise Refused("INVALID_ARGUMENT", "the bytes are not a ServerReflectionRequest") from None
    return bytes(_answer(request, names).SerializeToString())


def _answer(request: pb.ServerReflectionRequest, names: Collection[str]) -> pb.ServerReflectionResponse:
    try:
        answer = _found(request, names)
    except KeyError:
        answer = {"error_response": pb.ErrorResponse(error_code=_NOT_FOUND, error_message="not found")}
    if answer is None:
        answer = {"error_response": pb.ErrorResponse(error_code=_INVALID_ARGUMENT, error_message="invalid argument")}
    return pb.ServerReflectionResponse(original_request=request, valid_host=request.host, **answer)


def _found(request: pb.ServerReflectionRequest, names: Collection[str]) -> dict[str, Any] | None:
    """The answer by its field; None where nothing is asked. KeyError where it is not there."""
    if request.HasField("list_services"):
        listed = [pb.ServiceResponse(name=name) for name in names]
        return {"list_services_response": pb.ListServiceResponse(service=listed)}
    if request.HasField("file_by_filename"):
        return _files(POOL.FindFileByName(request.file_by_filename))
    if request.HasField("file_containing_symbol"):
        return _files(POOL.FindFileContainingSymbol(request.file_containing_symbol))
    if request.HasField("file_containing_extension"):
        asked = request.file_containing_extension
        extended = POOL.FindMessageTypeByName(asked.containing_type)
        extension = POOL.FindExtensionByNumber(extended, asked.extension_number)
        return _files(POOL.FindFileContainingSymbol(extension.full_name))
    if request.HasField("all_extension_numbers_of_type"):
        extended = POOL.FindMessageTypeByName(request.all_extension_numbers_of_type)
        numbers = sorted(extension.number for extension in POOL.FindAllExtensions(extended))
        told = pb.ExtensionNumberResponse(base_type_name=extended.full_name, extension_number=numbers)
        return {"all_extension_numbers_response": told}
    return None


def _files(file: FileDescriptor) -> dict[str, Any]:
    """A file with all that it needs."""
    files: dict[str, bytes] = {}
    _collect(file, files)
    return {"file_descriptor_response": pb.FileDescriptorResponse(file_descriptor_proto=list(files.values()))}


def _collect(file: FileDescriptor, files: dict[str, bytes]) -> None:
    if file.name not in files:
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        files[file.name] = proto.SerializeToString()
        for needed in file.dependencies:
            _collect(needed, files)
