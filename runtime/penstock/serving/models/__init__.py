"""Models of every kind, behind one small interface."""

from .loading import load
from .model import Answer, Model, TensorSpec, Unit, Work

__all__ = ["Answer", "Model", "TensorSpec", "Unit", "Work", "load"]
