"""Accuracy of iteration times against measurements, and the calibration they are made from."""
