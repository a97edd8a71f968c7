"""Models of every kind, behind one small interface."""

from .model import Answer, Model, TensorSpec, Unit, Work

__all__ = ["Answer", "Model", "TensorSpec", "Unit", "Work"]
