"""Fourier transforms, a filter and a convolution."""

import numpy as np


def run() -> None:
    """One round."""
    t = np.arange(1 << 15) / 1000
    signal = np.sin(2 * np.pi * 50 * t) + 0.5 * np.sin(2 * np.pi * 120 * t)
    spectrum = np.fft.rfft(signal)
    frequencies = np.fft.rfftfreq(len(t), 0.001)
    assert abs(float(frequencies[np.abs(spectrum).argmax()]) - 50) < 0.1
    spectrum[frequencies > 80] = 0
    low = np.fft.irfft(spectrum)
    assert low.shape == t.shape
    smooth = np.convolve(signal[:5000], np.ones(25) / 25, mode="same")
    assert abs(float(smooth[2500])) < 1
