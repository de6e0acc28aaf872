"""Scalers of columns of numbers that a search space can choose from; one scaler, one file."""
