"""Forecasting: readings of base stations in, the next value and the error of the last forecast out."""
