"""Scikit-learn estimators that choose rows, and the rules behind them."""
